// cross_entropy_backward: dy[n,k] += scale[n] * (softmax_k - t_k), t_1 = t, t_0 = 1 - t (spec 4.4)
//
//   y       f32[n, outputs]  read
//   faces   f32[n]           read     t, the probability that should come out
//   scales  f32[rows, n]     read     row 0, by `mine`: exactly 0 for samples without gradient
//   dy      f32[n, outputs]  update   outputs 0 and 1
//
// One invocation per sample. Twin: src/kernels/train/cross_entropy_backward.rs.

struct CrossEntropyBackward {
    n: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> p: CrossEntropyBackward;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> faces: array<f32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read_write> dy: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let scale = scales[id.x];
    if scale == 0.0 { return; }
    let at = id.x * p.outputs;
    let difference = y[at + 1u] - y[at];
    // Both probabilities by the small exponential: no cancellation near 0.
    let e = exp(-abs(difference));
    let face = select(e, 1.0, difference > 0.0) / (1.0 + e);
    let other = select(1.0, e, difference > 0.0) / (1.0 + e);
    let t = faces[id.x];
    let d = scale * ((1.0 - t) * face - t * other);
    dy[at] -= d;
    dy[at + 1u] += d;
}
