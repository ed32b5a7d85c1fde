// arg_max_pool: y[n,c,w] = largest of the elements of x[n,c] that window w covers, and where it is; of equal
// ones the first
//
//   x       f32[n, c, x rows, x columns]  read
//   y       f32[n, c, y rows, y columns]  write  every element written once
//   places  u32[n, c, y rows, y columns]  write  its place in the plane; for `arg_max_pool_backward`
//
// One invocation per element of y. Twin: src/kernels/nn/arg_max_pool.rs. Snippets: grid, windows.

@group(0) @binding(0) var<uniform> p: Windows;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> places: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.c * p.y.x * p.y.y { return; }
    let i = at / p.y.y % p.y.x;
    let j = at % p.y.y;
    let plane = at / (p.y.x * p.y.y) * p.x.x * p.x.y;
    let top = window_start(i, p.step.x);
    let left = window_start(j, p.step.y);
    let right = window_end(j, p.step.y, p.span.y, p.x.y);
    var place = top * p.x.y + left;
    var best = x[plane + place];
    for (var row = top; row < window_end(i, p.step.x, p.span.x, p.x.x); row++) {
        for (var column = left; column < right; column++) {
            let v = x[plane + row * p.x.y + column];
            if v > best {
                best = v;
                place = row * p.x.y + column;
            }
        }
    }
    y[at] = best;
    places[at] = place;
}
