// cross_entropy: loss[n] = -(label ? log p : log(1 - p)), p the softmax of the class logits; 0 without the task (spec 4.3)
//
//   y       f32[n, outputs]  read     logits of background and face come first
//   kinds   u32[n]           read     bit 0: the sample has the task; bit 3: it is a face
//   losses  f32[3, n]        update   row 0 is written
//
// log(1 + exp(-m)) for the margin m of the right class, without overflow. One invocation per sample.
// Twin: src/kernels/train/cross_entropy.rs.

struct CrossEntropy {
    n: u32,
    outputs: u32,
}

@group(0) @binding(0) var<uniform> p: CrossEntropy;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read_write> losses: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    let kind = kinds[id.x];
    let difference = y[id.x * p.outputs + 1u] - y[id.x * p.outputs];
    let margin = select(-difference, difference, (kind & 8u) != 0u);
    let loss = max(-margin, 0.0) + log(1.0 + exp(-abs(margin)));
    losses[id.x] = select(0.0, loss, (kind & 1u) != 0u);
}
