// batch_norm_gradients: sums[c] = sums over the slabs; dshift[c] += sum of dz, dscale[c] += sum of dz *
// normal, dslope[c] += sum of dy * min(z, 0)
//
//   partial  f32[c, 3, slabs]  read    by `batch_norm_sums`
//   sums     f32[c, 2]         write   of dz and dz * normal, for `batch_norm_backward`
//   dshift   f32[c]            update
//   dscale   f32[c]            update
//   dslope   f32[c]            update
//
// One workgroup per channel, whose invocations have every 64th slab each.
// Twin: src/kernels/nn/batch_norm_gradients.rs. Snippets: grid, total.

struct BatchNormGradients {
    c: u32,
    slabs: u32,
}

@group(0) @binding(0) var<uniform> p: BatchNormGradients;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> dshift: array<f32>;
@group(0) @binding(4) var<storage, read_write> dscale: array<f32>;
@group(0) @binding(5) var<storage, read_write> dslope: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let channel = flat_workgroup(workgroup);
    let at = 3u * min(channel, p.c - 1u) * p.slabs;
    var mine = vec3f(0.0);
    for (var s = at + lane; s < at + p.slabs; s += 64u) {
        mine += vec3f(partial[s], partial[s + p.slabs], partial[s + 2u * p.slabs]);
    }
    let shift = total(lane, mine.x);
    let scale = total(lane, mine.y);
    let slope = total(lane, mine.z);
    if lane == 0u && channel < p.c {
        sums[2u * channel] = shift;
        sums[2u * channel + 1u] = scale;
        dshift[channel] += shift;
        dscale[channel] += scale;
        dslope[channel] += slope;
    }
}
