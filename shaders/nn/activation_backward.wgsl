// activation_backward: dx[i] += dy[i] * (y[i] >= most ? 0 : y[i] > 0 ? 1 : slope); or dy[i] * y[i] * (1 -
// y[i]) for the sigmoid
//
//   y   f32[len]  read    output of `activation`; it has the sign of x, since slopes are not negative
//   dy  f32[len]  read
//   dx  f32[len]  update  every element added to once
//
// One invocation per element. Twin: src/kernels/nn/activation_backward.rs. Snippets: grid.

struct ActivationBackward {
    len: u32,
    sigmoid: u32, // 1: sigmoid
    slope: f32,   // 0 for ReLU
    most: f32,    // largest result of a ReLU
}

@group(0) @binding(0) var<uniform> p: ActivationBackward;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    let v = y[i];
    if p.sigmoid == 0u {
        dx[i] += select(select(p.slope, 1.0, v > 0.0), 0.0, v >= p.most) * dy[i];
        return;
    }
    dx[i] += dy[i] * v * (1.0 - v);
}
