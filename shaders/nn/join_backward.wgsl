// join_backward: dx[n, i] += dy[n, first + i]: the gradient of one of two that were joined
//
//   dy  f32[n, both]  read
//   dx  f32[n, len]   update  every element added to once
//
// One invocation per element of dx. Twin: src/kernels/nn/join_backward.rs. Snippets: grid.

struct JoinBackward {
    n: u32,
    len: u32,   // elements of an item of dx
    first: u32, // those before them in an item of dy
    both: u32,  // elements of an item of dy
}

@group(0) @binding(0) var<uniform> p: JoinBackward;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.n * p.len { return; }
    dx[i] += dy[i / p.len * p.both + p.first + i % p.len];
}
