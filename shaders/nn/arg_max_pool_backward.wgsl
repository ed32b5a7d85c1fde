// arg_max_pool_backward: dx[n,c,i] += sum of dy[n,c,w] over the windows w whose largest element is at i
//
//   dy      f32[n, c, y rows, y columns]  read
//   places  u32[n, c, y rows, y columns]  read    by `arg_max_pool`
//   dx      f32[n, c, x rows, x columns]  update  every element added to once
//
// One invocation per element of dx. Twin: src/kernels/nn/arg_max_pool_backward.rs. Snippets: grid, windows.

@group(0) @binding(0) var<uniform> p: Windows;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.c * p.x.x * p.x.y { return; }
    let place = at % (p.x.x * p.x.y);
    let row = place / p.x.y;
    let column = place % p.x.y;
    let plane = at / (p.x.x * p.x.y) * p.y.x * p.y.y;
    var sum = 0.0;
    for (var i = first_window(row, p.step.x, p.span.x); i < windows_end(row, p.step.x, p.y.x); i++) {
        for (var j = first_window(column, p.step.y, p.span.y); j < windows_end(column, p.step.y, p.y.y); j++) {
            let w = plane + i * p.y.y + j;
            if places[w] == place { sum += dy[w]; }
        }
    }
    dx[at] += sum;
}
