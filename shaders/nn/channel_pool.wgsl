// channel_pool: y[n,0,i] = largest of x[n,c,i] over c, y[n,1,i] = their mean; of equal ones the
// first is the largest
//
//   x         f32[n, c, plane]  read
//   y         f32[n, 2, plane]  write
//   channels  u32[n, plane]     write  that of the largest; for `channel_pool_backward`
//
// One invocation per item and place. Twin: src/kernels/nn/channel_pool.rs. Snippets: grid.

struct ChannelPool {
    n: u32,
    c: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: ChannelPool;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> channels: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.n * p.plane { return; }
    let item = at / p.plane;
    let first = item * p.c * p.plane + at % p.plane;
    var best = x[first];
    var channel = 0u;
    var sum = 0.0;
    for (var c = 0u; c < p.c; c++) {
        let v = x[first + c * p.plane];
        sum += v;
        if v > best {
            best = v;
            channel = c;
        }
    }
    let to = 2u * item * p.plane + at % p.plane;
    y[to] = best;
    y[to + p.plane] = sum / f32(p.c);
    channels[at] = channel;
}
