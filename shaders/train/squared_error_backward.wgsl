// squared_error_backward: dy[n, first + k] += 2 * scale[n] * (y[n, first + k] - target[n, k]) (spec 4.4)
//
//   y        f32[n, outputs]  read
//   targets  f32[n, 14]       read     box, then landmarks; the task's begin at `target_first`
//   scales   f32[rows, n]     read     row `task`, by `mine`: exactly 0 for samples without gradient
//   dy       f32[n, outputs]  update   `count` outputs from `first` on
//
// One invocation per sample. Twin: src/kernels/train/squared_error_backward.rs.

struct SquaredErrorBackward {
    n: u32,
    outputs: u32,
    first: u32,
    count: u32,
    target_first: u32,
    task: u32,
}

@group(0) @binding(0) var<uniform> p: SquaredErrorBackward;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let scale = scales[p.task * p.n + id.x];
    if scale == 0.0 { return; }
    for (var k = 0u; k < p.count; k++) {
        let at = id.x * p.outputs + p.first + k;
        dy[at] += 2.0 * scale * (y[at] - targets[id.x * 14u + p.target_first + k]);
    }
}
