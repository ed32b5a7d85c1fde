// add: y[i] = a[i] + b[i]
//
//   a  f32[len]  read
//   b  f32[len]  read
//   y  f32[len]  write
//
// One invocation per element. Twin: src/kernels/nn/add.rs. Snippets: grid.

struct Add {
    len: u32,
}

@group(0) @binding(0) var<uniform> p: Add;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    y[i] = a[i] + b[i];
}
