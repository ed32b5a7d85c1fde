// multiply: y[n,c,i] = scale * x[n,c,i] * factor[n,c], or factor[n,i], or factor[n,c,i]
//
//   x       f32[n, c, plane]  read
//   factor  f32[n, c], [n, plane] or [n, c, plane]  read  by `over`
//   y       f32[n, c, plane]  write  every element written once
//
// One invocation per element. Twin: src/kernels/nn/multiply.rs. Snippets: grid, broadcast.

struct Multiply {
    n: u32,
    c: u32,
    plane: u32,
    over: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: Multiply;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> factor: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.n * p.c * p.plane { return; }
    y[i] = p.scale * x[i] * factor[factor_of(i)];
}
