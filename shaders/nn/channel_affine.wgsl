// channel_affine: what batch norm and PReLU need of each channel: mean, 1 / sqrt(variance + epsilon), scale,
// shift, slope
//
//   mean      f32[c]     read
//   variance  f32[c]     read   of the batch, biased; or running
//   scale     f32[c]     read
//   shift     f32[c]     read
//   slope     f32[c]     read   1 for no activation, 0 for ReLU
//   affine    Affine[c]  write
//
// One invocation per channel. Twin: src/kernels/nn/channel_affine.rs. Snippets: grid, affine.

struct ChannelAffine {
    c: u32,
    epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: ChannelAffine;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read> shift: array<f32>;
@group(0) @binding(5) var<storage, read> slope: array<f32>;
@group(0) @binding(6) var<storage, read_write> affine: array<Affine>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.c { return; }
    affine[i] = Affine(mean[i], inverseSqrt(variance[i] + p.epsilon), scale[i], shift[i], slope[i]);
}
