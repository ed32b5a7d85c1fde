// activation: y[i] = x[i] > 0 ? min(x[i], most) : slope * x[i]; or 1 / (1 + exp(-x[i]))
//
//   x  f32[len]  read
//   y  f32[len]  write
//
// One invocation per element. Twin: src/kernels/nn/activation.rs. Snippets: grid.

struct Activation {
    len: u32,
    sigmoid: u32, // 1: sigmoid
    slope: f32,   // 0 for ReLU
    most: f32,    // largest result of a ReLU
}

@group(0) @binding(0) var<uniform> p: Activation;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len { return; }
    let v = x[i];
    if p.sigmoid == 0u {
        y[i] = min(select(p.slope * v, v, v > 0.0), p.most);
        return;
    }
    // The exponent is a negative magnitude, so that no exponential overflows.
    let e = exp(-abs(v));
    y[i] = select(e, 1.0, v > 0.0) / (1.0 + e);
}
