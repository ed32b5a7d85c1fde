// conv: y[n,o,i,j] = prelu_o(bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n,c,i+u,j+v]), valid, stride 1 (spec 2, 8)
//
//   x       f32[n, c, x_plane]              read   activations
//   weight  vec4f[groups, c, K, K, 4]       read   16 output channels a group, zero beyond `out`
//   bias    vec4f[groups, 4]                read
//   slope   vec4f[groups, 4]                read   prelu(v) = v > 0 ? v : slope * v; all ones for a linear layer
//   levels  Level[levels]                   read   tiles of 4 x 2 outputs
//   y       f32[n, out, y_plane]            write  every element written once
//
// One invocation per item, tile of 4 x 2 pixels and group of 16 output channels: a 4x4 matrix of channels per pixel stays in registers.
// Twin: src/kernels/nn/conv.rs. Snippets: levels, channels.

override K: u32;

struct Conv {
    n: u32,
    c: u32,
    out: u32,
    k: u32,
    x_plane: u32,
    y_plane: u32,
    levels: u32,
    tiles: u32, // per item, all levels
}

@group(0) @binding(0) var<uniform> p: Conv;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> slope: array<vec4f>;
@group(0) @binding(5) var<storage, read> levels: array<Level>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
    let item = id.x / p.tiles;
    if item >= p.n { return; }
    // Of the workgroup, so that a compiler sees that all invocations read the same weights.
    let group = workgroup.y;
    let tile = id.x % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 4u;
    let row = (tile - level.tile) / level.columns * 2u;
    let start = mat4x4f(bias[group * 4u], bias[group * 4u + 1u], bias[group * 4u + 2u], bias[group * 4u + 3u]);
    var s00 = start; var s01 = start; var s02 = start; var s03 = start;
    var s10 = start; var s11 = start; var s12 = start; var s13 = start;
    var at = group * p.c * K * K * 4u;
    for (var c = 0u; c < p.c; c++) {
        let plane = (item * p.c + c) * p.x_plane + level.x;
        for (var u = 0u; u < K; u++) {
            // A tile may stick out of the level: rows and columns are held inside, its results are dropped below.
            let row0 = plane + min(row + u, level.x_h - 1u) * level.x_w;
            let row1 = plane + min(row + u + 1u, level.x_h - 1u) * level.x_w;
            for (var v = 0u; v < K; v++) {
                let w = mat4x4f(weight[at], weight[at + 1u], weight[at + 2u], weight[at + 3u]);
                at += 4u;
                let edge = level.x_w - 1u;
                let j = min(vec4u(column + v) + vec4u(0u, 1u, 2u, 3u), vec4u(edge));
                s00 += w * x[row0 + j.x]; s01 += w * x[row0 + j.y]; s02 += w * x[row0 + j.z]; s03 += w * x[row0 + j.w];
                s10 += w * x[row1 + j.x]; s11 += w * x[row1 + j.y]; s12 += w * x[row1 + j.z]; s13 += w * x[row1 + j.w];
            }
        }
    }
    let out = (item * p.out + group * 16u) * p.y_plane + level.y + row * level.y_w + column;
    let width = level.y_w - column;
    store(s00, group, out);
    if width > 1u { store(s01, group, out + 1u); }
    if width > 2u { store(s02, group, out + 2u); }
    if width > 3u { store(s03, group, out + 3u); }
    if row + 1u >= level.y_h { return; }
    store(s10, group, out + level.y_w);
    if width > 1u { store(s11, group, out + level.y_w + 1u); }
    if width > 2u { store(s12, group, out + level.y_w + 2u); }
    if width > 3u { store(s13, group, out + level.y_w + 3u); }
}

fn store(sums: mat4x4f, group: u32, at: u32) {
    store4(prelu(sums[0], slope[group * 4u]), group * 16u, at);
    store4(prelu(sums[1], slope[group * 4u + 1u]), group * 16u + 4u, at + 4u * p.y_plane);
    store4(prelu(sums[2], slope[group * 4u + 2u]), group * 16u + 8u, at + 8u * p.y_plane);
    store4(prelu(sums[3], slope[group * 4u + 3u]), group * 16u + 12u, at + 12u * p.y_plane);
}
