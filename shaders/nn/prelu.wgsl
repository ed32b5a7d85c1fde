// prelu: y[n,c,i] = x[n,c,i] > 0 ? x[n,c,i] : slope[c] * x[n,c,i] (spec 8)
//
//   x      f32[n, c, plane]  read    pre-activations; training keeps them, since slopes may be negative
//   slope  f32[c]            read
//   y      f32[n, c, plane]  write   every element written once
//
// One invocation per item and place in the plane, channels along y. Twin: src/kernels/nn/prelu.rs.

struct Prelu {
    n: u32,
    c: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: Prelu;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.plane;
    if item >= p.n { return; }
    let i = (item * p.c + id.y) * p.plane + id.x % p.plane;
    let v = x[i];
    y[i] = select(slope[id.y] * v, v, v > 0.0);
}
