// mean_pool: y[n,c,w] = mean of the elements of x[n,c] that window w covers
//
//   x  f32[n, c, x rows, x columns]  read
//   y  f32[n, c, y rows, y columns]  write  every element written once
//
// One invocation per element of y. Twin: src/kernels/nn/mean_pool.rs. Snippets: grid, windows.

@group(0) @binding(0) var<uniform> p: Windows;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.c * p.y.x * p.y.y { return; }
    let i = at / p.y.y % p.y.x;
    let j = at % p.y.y;
    let plane = at / (p.y.x * p.y.y) * p.x.x * p.x.y;
    let top = window_start(i, p.step.x);
    let bottom = window_end(i, p.step.x, p.span.x, p.x.x);
    let left = window_start(j, p.step.y);
    let right = window_end(j, p.step.y, p.span.y, p.x.y);
    var sum = 0.0;
    for (var row = top; row < bottom; row++) {
        for (var column = left; column < right; column++) { sum += x[plane + row * p.x.y + column]; }
    }
    y[at] = sum / f32((bottom - top) * (right - left));
}
