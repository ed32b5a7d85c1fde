// batch_norm: y = prelu((x - mean) * inverse * scale + shift), each channel its own
//
//   x       f32[n, c, plane]  read
//   affine  Affine[c]         read   by `channel_affine`
//   y       f32[n, c, plane]  write  every element written once
//
// One invocation per element. Twin: src/kernels/nn/batch_norm.rs. Snippets: grid, affine.

struct BatchNorm {
    n: u32,
    c: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: BatchNorm;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> affine: array<Affine>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.n * p.c * p.plane { return; }
    let a = affine[i / p.plane % p.c];
    let z = scaled(a, normalized(a, x[i]));
    y[i] = select(a.slope * z, z, z > 0.0);
}
