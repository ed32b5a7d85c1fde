// mean_pool_backward: dx[n,c,i] += sum of dy[n,c,w] / (elements of w) over the windows w that cover i
//
//   dy  f32[n, c, y rows, y columns]  read
//   dx  f32[n, c, x rows, x columns]  update  every element added to once
//
// One invocation per element of dx. Twin: src/kernels/nn/mean_pool_backward.rs. Snippets: grid, windows.

@group(0) @binding(0) var<uniform> p: Windows;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.c * p.x.x * p.x.y { return; }
    let row = at / p.x.y % p.x.x;
    let column = at % p.x.y;
    let plane = at / (p.x.x * p.x.y) * p.y.x * p.y.y;
    var sum = 0.0;
    for (var i = first_window(row, p.step.x, p.span.x); i < windows_end(row, p.step.x, p.y.x); i++) {
        let rows = window_end(i, p.step.x, p.span.x, p.x.x) - window_start(i, p.step.x);
        for (var j = first_window(column, p.step.y, p.span.y); j < windows_end(column, p.step.y, p.y.y); j++) {
            let columns = window_end(j, p.step.y, p.span.y, p.x.y) - window_start(j, p.step.y);
            sum += dy[plane + i * p.y.y + j] / f32(rows * columns);
        }
    }
    dx[at] += sum;
}
