// cross_entropy: loss[n] = t log(t / p) + (1 - t) log((1 - t) / (1 - p)), p the softmax of the class logits; 0 without the task (spec 4.3)
//
//   y       f32[n, outputs]  read     logits of background and face come first
//   kinds   u32[n]           read     bit 0: the sample has the task
//   faces   f32[n]           read     t, the probability that should come out: 1 or 0, or between by a teacher
//   figures f32[rows, n]     update   rows 0 and `right` are written: the loss, and 1 for samples told right
//
// -log(1 - p) and -log(p) without overflow, less the entropy of t, which is 0 for t of 0 and 1. One invocation per sample.
// Twin: src/kernels/train/cross_entropy.rs.

struct CrossEntropy {
    n: u32,
    outputs: u32,
    right: u32,
}

@group(0) @binding(0) var<uniform> p: CrossEntropy;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read> faces: array<f32>;
@group(0) @binding(4) var<storage, read_write> figures: array<f32>;

// t log(t), which goes to 0 with t.
fn entropy(t: f32) -> f32 {
    return select(t * log(max(t, 1e-30)), 0.0, t <= 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let difference = y[id.x * p.outputs + 1u] - y[id.x * p.outputs];
    let t = faces[id.x];
    let loss = log(1.0 + exp(-abs(difference))) + t * max(-difference, 0.0) + (1.0 - t) * max(difference, 0.0);
    let has = (kinds[id.x] & 1u) != 0u;
    figures[id.x] = select(0.0, loss + entropy(t) + entropy(1.0 - t), has);
    let right = has && (difference > 0.0) == ((kinds[id.x] & 8u) != 0u);
    figures[p.right * p.n + id.x] = select(0.0, 1.0, right);
}
