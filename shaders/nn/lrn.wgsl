// lrn: y[n,c,i] = x[n,c,i] / (1 + 1e-4 / 9 * sum of x[n,c',i]^2 over the 9 channels c' around c)^0.75
// (spec section 5)
//
//   x  f32[n, c, plane]  read
//   y  f32[n, c, plane]  write  every element written once
//
// One invocation per item and position, channels along y. Twin: src/kernels/nn/lrn.rs. Snippets: lrn.

struct Lrn {
    n: u32,
    c: u32,
    plane: u32, // h * w, elements
}

@group(0) @binding(0) var<uniform> p: Lrn;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.plane;
    if item >= p.n { return; }
    let first = item * p.c * p.plane + id.x % p.plane;
    let root = inverse_root(first, id.y);
    let at = first + id.y * p.plane;
    y[at] = x[at] * root * sqrt(root);
}
