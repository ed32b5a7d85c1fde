// stream: y[i] = x[i]: measures peak memory bandwidth
//
//   x  vec4f[rows * quads]  read
//   y  vec4f[rows * quads]  write  every element written once
//
// One invocation per quad, rows along y. Twin: src/kernels/ceiling/stream.rs.

struct Stream {
    rows: u32,
    quads: u32, // per row
}

@group(0) @binding(0) var<uniform> p: Stream;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.quads { return; }
    let i = id.y * p.quads + id.x;
    y[i] = x[i];
}
