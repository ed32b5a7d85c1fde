// max_pool_backward: dx[n,c,a,b] += sum of dy over the windows whose first maximum in raster order is at a, b (spec 8)
//
//   x   f32[n, c, x_h, x_w]  read
//   dy  f32[n, c, y_h, y_w]  read
//   dx  f32[n, c, x_h, x_w]  update   every element added to once
//
// A gather: one invocation per item and input element looks at the windows that cover it, channels along y.
// Twin: src/kernels/nn/max_pool_backward.rs.

struct MaxPoolBackward {
    n: u32,
    c: u32,
    k: u32,
    stride: u32,
    x_h: u32,
    x_w: u32,
    y_h: u32,
    y_w: u32,
}

@group(0) @binding(0) var<uniform> p: MaxPoolBackward;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / (p.x_h * p.x_w);
    if item >= p.n { return; }
    let place = id.x % (p.x_h * p.x_w);
    let a = place / p.x_w;
    let b = place % p.x_w;
    let x_plane = (item * p.c + id.y) * p.x_h * p.x_w;
    let dy_plane = (item * p.c + id.y) * p.y_h * p.y_w;
    var sum = 0.0;
    for (var i = first_window(a); i < min(a / p.stride + 1u, p.y_h); i++) {
        for (var j = first_window(b); j < min(b / p.stride + 1u, p.y_w); j++) {
            if wins(x_plane, i * p.stride, j * p.stride, place) { sum += dy[dy_plane + i * p.y_w + j]; }
        }
    }
    dx[x_plane + place] += sum;
}

// The first window that covers a row or column.
fn first_window(at: u32) -> u32 {
    return (max(at + 1u, p.k) - p.k + p.stride - 1u) / p.stride;
}

// Whether the first maximum of the window at `row`, `column` is at `place`.
fn wins(plane: u32, row: u32, column: u32, place: u32) -> bool {
    let value = x[plane + place];
    for (var i = row; i < min(row + p.k, p.x_h); i++) {
        for (var j = column; j < min(column + p.k, p.x_w); j++) {
            let other = i * p.x_w + j;
            let v = x[plane + other];
            if v > value || (v == value && other < place) { return false; }
        }
    }
    return true;
}
