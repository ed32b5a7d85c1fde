// channel_pool_backward: dx[n,c,i] += (c is the channel of the largest ? dy[n,0,i] : 0) + dy[n,1,i] / C
//
//   dy        f32[n, 2, plane]  read
//   channels  u32[n, plane]     read    by `channel_pool`
//   dx        f32[n, c, plane]  update  every element added to once
//
// One invocation per element of dx. Twin: src/kernels/nn/channel_pool_backward.rs. Snippets: grid.

struct ChannelPoolBackward {
    n: u32,
    c: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: ChannelPoolBackward;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> channels: array<u32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.c * p.plane { return; }
    let item = at / (p.c * p.plane);
    let i = at % p.plane;
    let first = 2u * item * p.plane + i;
    let mine = channels[item * p.plane + i] == at / p.plane % p.c;
    dx[at] += select(0.0, dy[first], mine) + dy[first + p.plane] / f32(p.c);
}
