// upsample: y[n,c,i,j] = x[n,c] at ((i + 0.5) / 2 - 0.5, (j + 0.5) / 2 - 0.5), bilinear, clamped to the edge:
// twice the size
//
//   x  f32[n, c, h, w]    read
//   y  f32[n, c, 2h, 2w]  write  every element written once
//
// Along a side, output i lies a quarter from element i / 2, on the side of the neighbour that has a quarter
// of the weight. One invocation per element of y. Twin: src/kernels/nn/upsample.rs. Snippets: grid.

struct Upsample {
    planes: u32,
    h: u32,
    w: u32,
}

@group(0) @binding(0) var<uniform> p: Upsample;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// The neighbour on the far side of output i, held inside.
fn neighbour(i: u32, size: u32) -> u32 {
    if i % 2u == 1u { return min(i / 2u + 1u, size - 1u); }
    return max(i / 2u, 1u) - 1u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let at = flat_invocation(id, 64u);
    if at >= 4u * p.planes * p.h * p.w { return; }
    let j = at % (2u * p.w);
    let i = at / (2u * p.w) % (2u * p.h);
    let plane = at / (4u * p.h * p.w) * p.h * p.w;
    let near = plane + i / 2u * p.w;
    let far = plane + neighbour(i, p.h) * p.w;
    let side = neighbour(j, p.w);
    let own = 0.75 * x[near + j / 2u] + 0.25 * x[far + j / 2u];
    let other = 0.75 * x[near + side] + 0.25 * x[far + side];
    y[at] = 0.75 * own + 0.25 * other;
}
