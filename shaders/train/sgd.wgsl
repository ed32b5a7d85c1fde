// sgd: m = momentum * m + g + decay * value; value -= rate * m
//
//   gradient  f32[len]  read
//   schedule  u32[8]    read     word 2, a float: rate
//   status    u32[4]    read     nothing is updated after a fault
//   value     f32[len]  update
//   m         f32[len]  update   velocity
//
// One invocation per element. Twin: src/kernels/train/sgd.rs. Snippets: grid.

struct Sgd {
    len: u32,
    momentum: f32,
    decay: f32,
}

@group(0) @binding(0) var<uniform> p: Sgd;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read> schedule: array<u32>;
@group(0) @binding(3) var<storage, read> status: array<u32>;
@group(0) @binding(4) var<storage, read_write> value: array<f32>;
@group(0) @binding(5) var<storage, read_write> m: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.len || status[0] != 0u { return; }
    let velocity = p.momentum * m[i] + gradient[i] + p.decay * value[i];
    m[i] = velocity;
    value[i] -= bitcast<f32>(schedule[2]) * velocity;
}
