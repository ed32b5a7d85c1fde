// halve: y[n,c,i,j] = mean of x[n,c, 2i .. 2i + 2, 2j .. 2j + 2]: reduction to half the size by area average
// (spec section 3.2 at s = 2)
//
//   x  f32[n, c, 2h, 2w]  read
//   y  f32[n, c, h, w]    write  every element written once
//
// One invocation per item and output position, channels along y. Twin: src/kernels/nn/halve.rs.

struct Halve {
    n: u32,
    c: u32,
    h: u32, // output rows
    w: u32, // output columns
}

@group(0) @binding(0) var<uniform> p: Halve;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let area = p.h * p.w;
    let item = id.x / area;
    if item >= p.n { return; }
    let plane = item * p.c + id.y;
    let at = id.x % area;
    let above = plane * area * 4u + at / p.w * 4u * p.w + at % p.w * 2u;
    let below = above + 2u * p.w;
    y[plane * area + at] = ((x[above] + x[above + 1u]) + (x[below] + x[below + 1u])) * 0.25;
}
