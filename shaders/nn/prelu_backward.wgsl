// prelu_backward: dx = dy * (x > 0 ? 1 : slope[c]); dslope[c,s] = sum over slab s of min(x, 0) * dy (spec 8)
//
//   x       f32[n, c, plane]  read     pre-activations
//   slope   f32[c]            read
//   dy      f32[n, c, plane]  read
//   dx      f32[n, c, plane]  write    every element written once
//   dslope  f32[c, slabs]     write    partial sums, for `reduce`
//
// One invocation per slab and channel; a slab is every `slabs`-th place of the channel, all items end to end, so that neighbours read
// neighbours. Twin: src/kernels/nn/prelu_backward.rs.

struct PreluBackward {
    n: u32,
    c: u32,
    plane: u32,
    slabs: u32,
}

@group(0) @binding(0) var<uniform> p: PreluBackward;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;
@group(0) @binding(5) var<storage, read_write> dslope: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.slabs { return; }
    let a = slope[id.y];
    var sum = 0.0;
    for (var place = id.x; place < p.n * p.plane; place += p.slabs) {
        let i = (place / p.plane * p.c + id.y) * p.plane + place % p.plane;
        let v = x[i];
        let d = dy[i];
        dx[i] = select(a * d, d, v > 0.0);
        sum += select(v * d, 0.0, v > 0.0);
    }
    dslope[id.y * p.slabs + id.x] = sum;
}
