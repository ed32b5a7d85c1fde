// upsample_backward: dx[n,c,i,j] += sum of weight * dy over the outputs that x[n,c,i,j] has a part in, at
// most 4 x 4
//
//   dy  f32[n, c, 2h, 2w]  read
//   dx  f32[n, c, h, w]    update  every element added to once
//
// One invocation per element of dx. Twin: src/kernels/nn/upsample_backward.rs. Snippets: grid.

struct UpsampleBackward {
    planes: u32,
    h: u32,
    w: u32,
}

@group(0) @binding(0) var<uniform> p: UpsampleBackward;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dx: array<f32>;

// Part of element i in output o, which is one of 2 i - 1 to 2 i + 2: the first and the last output are the
// element at the edge.
fn weight(o: u32, i: u32, size: u32) -> f32 {
    let near = o / 2u == i;
    if o == 0u || o == 2u * size - 1u { return select(0.0, 1.0, near); }
    return select(0.25, 0.75, near);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= p.planes * p.h * p.w { return; }
    let i = at / p.w % p.h;
    let j = at % p.w;
    let plane = at / (p.h * p.w) * 4u * p.h * p.w;
    var sum = 0.0;
    for (var row = max(2u * i, 1u) - 1u; row < min(2u * i + 3u, 2u * p.h); row++) {
        var line = 0.0;
        for (var column = max(2u * j, 1u) - 1u; column < min(2u * j + 3u, 2u * p.w); column++) {
            line += weight(column, j, p.w) * dy[plane + row * 2u * p.w + column];
        }
        sum += weight(row, i, p.h) * line;
    }
    dx[at] += sum;
}
