// clear: x[i] = 0: gradients accumulate, so they are cleared in every step
//
//   x  f32[len]  write
//
// One invocation per element. Twin: src/kernels/train/clear.rs. Snippets: grid.

struct Clear {
    len: u32,
}

@group(0) @binding(0) var<uniform> p: Clear;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    x[i] = 0.0;
}
