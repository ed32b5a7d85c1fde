// adam: m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; value -= rate * (m / c1) / (sqrt(v / c2) + eps)
// (Kingma and Ba 2015, algorithm 1)
//
//   gradient  f32[len]  read
//   schedule  u32[8]    read     words 2 to 4, floats: rate, c1 = 1 - b1^t, c2 = 1 - b2^t
//   status    u32[4]    read     nothing is updated after a fault
//   value     f32[len]  update
//   m         f32[len]  update   first moment
//   v         f32[len]  update   second moment
//
// Weight decay is added to the gradient (Adam), or with `decoupled` subtracted from the value as rate * decay
// * value (AdamW, Loshchilov and Hutter 2019). One invocation per element. Twin: src/kernels/train/adam.rs.
// Snippets: grid.

struct Adam {
    len: u32,
    beta1: f32,
    beta2: f32,
    epsilon: f32,
    decay: f32,
    decoupled: u32,
}

@group(0) @binding(0) var<uniform> p: Adam;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> schedule: array<u32>;
@group(0) @binding(3) var<storage, read> status: array<u32>;
@group(0) @binding(4) var<storage, read_write> value: array<f32>;
@group(0) @binding(5) var<storage, read_write> m: array<f32>;
@group(0) @binding(6) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len || status[0] != 0u { return; }
    let rate = bitcast<f32>(schedule[2]);
    var x = value[i];
    var g = gradient[i];
    if p.decoupled != 0u { x -= rate * p.decay * x; } else { g += p.decay * x; }
    let first = p.beta1 * m[i] + (1.0 - p.beta1) * g;
    let second = p.beta2 * v[i] + (1.0 - p.beta2) * g * g;
    m[i] = first;
    v[i] = second;
    value[i] = x - rate * (first / bitcast<f32>(schedule[3])) / (sqrt(second / bitcast<f32>(schedule[4])) + p.epsilon);
}
