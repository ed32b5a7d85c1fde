// axpy: y[i] += factor * x[i]: gradients of sums, and with a factor of -1 gradient reversal
//
//   x  f32[len]  read
//   y  f32[len]  update  every element added to once
//
// One invocation per element. Twin: src/kernels/nn/axpy.rs. Snippets: grid.

struct Axpy {
    len: u32,
    factor: f32,
}

@group(0) @binding(0) var<uniform> p: Axpy;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    y[i] += p.factor * x[i];
}
