// running_statistics: running = (1 - momentum) * running + momentum * batch, the variance unbiased: batch
// variance * unbiased
//
//   mean              f32[c]  read     of the batch
//   variance          f32[c]  read     of the batch, biased
//   status            u32[4]  read     nothing is updated once a fault is known
//   running_mean      f32[c]  update
//   running_variance  f32[c]  update
//
// One invocation per channel. Twin: src/kernels/train/running_statistics.rs. Snippets: grid.

struct RunningStatistics {
    c: u32,
    momentum: f32,
    unbiased: f32, // M / (M - 1) for M elements a channel
}

@group(0) @binding(0) var<uniform> p: RunningStatistics;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> status: array<u32>;
@group(0) @binding(4) var<storage, read_write> running_mean: array<f32>;
@group(0) @binding(5) var<storage, read_write> running_variance: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.c || status[0] != 0u { return; }
    running_mean[i] = (1.0 - p.momentum) * running_mean[i] + p.momentum * mean[i];
    running_variance[i] = (1.0 - p.momentum) * running_variance[i] + p.momentum * p.unbiased * variance[i];
}
