// batch_norm_backward: dx += scale * inverse * (dz - share * (sums[c, 0] + normal * sums[c, 1])), where
// normal = (x - mean) * inverse, z = normal * scale + shift and dz = dy * (z > 0 ? 1 : slope)
//
//   x       f32[n, c, plane]  read
//   dy      f32[n, c, plane]  read
//   affine  Affine[c]         read     by `channel_affine`
//   sums    f32[c, 2]         read     by `batch_norm_gradients`
//   dx      f32[n, c, plane]  update   every element added to once
//
// `share` is one over the elements of a channel where mean and variance are the batch's, 0 where they are
// constants. One invocation per element. Twin: src/kernels/nn/batch_norm_backward.rs. Snippets: grid, affine.

struct BatchNormBackward {
    n: u32,
    c: u32,
    plane: u32,
    share: f32,
}

@group(0) @binding(0) var<uniform> p: BatchNormBackward;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> affine: array<Affine>;
@group(0) @binding(4) var<storage, read> sums: array<f32>;
@group(0) @binding(5) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.n * p.c * p.plane { return; }
    let c = i / p.plane % p.c;
    let a = affine[c];
    let normal = normalized(a, x[i]);
    let d = dy[i];
    let dz = select(a.slope * d, d, scaled(a, normal) > 0.0);
    dx[i] += a.scale * a.inverse * (dz - p.share * (sums[2u * c] + normal * sums[2u * c + 1u]));
}
