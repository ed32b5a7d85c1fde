// batch_statistics: of each channel and slab the mean and the biased variance
//
//   x        f32[n, c, plane]     read
//   partial  f32[c, 2, slabs]     write  means, then variances; for `batch_moments`
//
// One invocation per slab and channel; a slab is every `slabs`-th place of the channel, all items end to end,
// so that neighbours read neighbours. Differences from the slab's first element are summed, so that a large
// mean costs no digits. Twin: src/kernels/nn/batch_statistics.rs.

struct BatchStatistics {
    n: u32,
    c: u32,
    plane: u32,
    slabs: u32,
}

@group(0) @binding(0) var<uniform> p: BatchStatistics;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> partial: array<f32>;

fn value(channel: u32, place: u32) -> f32 {
    return x[(place / p.plane * p.c + channel) * p.plane + place % p.plane];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.slabs { return; }
    let pivot = value(id.y, id.x);
    var sum = 0.0;
    var squares = 0.0;
    var count = 0.0;
    for (var place = id.x; place < p.n * p.plane; place += p.slabs) {
        let d = value(id.y, place) - pivot;
        sum += d;
        squares += d * d;
        count += 1.0;
    }
    let mean = sum / count;
    let variance = squares / count - mean * mean;
    let at = 2u * id.y * p.slabs + id.x;
    partial[at] = pivot + mean;
    partial[at + p.slabs] = select(variance, 0.0, variance < 0.0);
}
