// unpack: x[n,c,i] = (byte c of rgba[n,i] - 127.5) / 128 (spec 1)
//
//   rgba  u32[n, plane]     read    one word per pixel, red in the low byte; alpha is ignored
//   x     f32[n, 3, plane]  write   every element written once
//
// One invocation per pixel, colours along y. Twin: src/kernels/train/unpack.rs.

struct Unpack {
    n: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: Unpack;
@group(0) @binding(1) var<storage, read> rgba: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.plane;
    if item >= p.n { return; }
    let byte = (rgba[id.x] >> (8u * id.y)) & 255u;
    x[(item * 3u + id.y) * p.plane + id.x % p.plane] = (f32(byte) - 127.5) * 0.0078125;
}
