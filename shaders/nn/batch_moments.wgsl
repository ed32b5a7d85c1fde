// batch_moments: mean and biased variance of each channel from those of its slabs (Chan and others 1979):
// mean = sum of count[s] mean[s] / M, variance = sum of count[s] (variance[s] + (mean[s] - mean)^2) / M
//
//   partial   f32[c, 2, slabs]  read   means, then variances, by `batch_statistics`
//   mean      f32[c]            write
//   variance  f32[c]            write
//
// One workgroup per channel, whose invocations have every 64th slab each. Means are summed as differences
// from the first slab's. Twin: src/kernels/nn/batch_moments.rs. Snippets: grid, total.

struct BatchMoments {
    c: u32,
    places: u32, // elements of a channel
    slabs: u32,
}

@group(0) @binding(0) var<uniform> p: BatchMoments;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;

// The share of the channel's places that slab s has.
fn share(s: u32) -> f32 { return f32((p.places - 1u - s) / p.slabs + 1u) / f32(p.places); }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let channel = flat_workgroup(workgroup);
    let at = 2u * min(channel, p.c - 1u) * p.slabs;
    let pivot = partial[at];
    var sum = 0.0;
    for (var s = lane; s < p.slabs; s += 64u) { sum += share(s) * (partial[at + s] - pivot); }
    let middle = pivot + total(lane, sum);
    var squares = 0.0;
    for (var s = lane; s < p.slabs; s += 64u) {
        let d = partial[at + s] - middle;
        squares += share(s) * (partial[at + p.slabs + s] + d * d);
    }
    let all = total(lane, squares);
    if lane == 0u && channel < p.c {
        mean[channel] = middle;
        variance[channel] = all;
    }
}
