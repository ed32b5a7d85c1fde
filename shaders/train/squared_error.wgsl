// squared_error: loss[n] = sum_k (y[n, first + k] - target[n, k])^2; 0 without the task (spec 4.3)
//
//   y        f32[n, outputs]  read
//   kinds    u32[n]           read     bit `task`: the sample has the task
//   targets  f32[n, 14]       read     box, then landmarks; the task's begin at `target_first`
//   figures  f32[rows, n]        update   row `task` is written
//
// One invocation per sample. Twin: src/kernels/train/squared_error.rs.

struct SquaredError {
    n: u32,
    outputs: u32,
    first: u32,
    count: u32,
    target_first: u32,
    task: u32,
}

@group(0) @binding(0) var<uniform> p: SquaredError;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
@group(0) @binding(4) var<storage, read_write> figures: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    var sum = 0.0;
    for (var k = 0u; k < p.count; k++) {
        let difference = y[id.x * p.outputs + p.first + k] - targets[id.x * 14u + p.target_first + k];
        sum += difference * difference;
    }
    figures[p.task * p.n + id.x] = select(0.0, sum, ((kinds[id.x] >> p.task) & 1u) != 0u);
}
