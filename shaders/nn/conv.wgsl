// conv: y[n,o,i,j] = prelu_o(bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n,c,i+u,j+v]), valid,
// stride 1 (spec 2, 8)
//
//   x       f32[n, c, x_plane]              read   activations
//   weight  vec4f[groups, c, K, K, 4]       read   16 output channels a group, zero beyond `out`
//   bias    vec4f[groups, 4]                read
//   slope   vec4f[groups, 4]                read   prelu(v) = v > 0 ? v : slope * v; 1 for a linear layer
//   levels  Level[levels]                   read   tiles of 4 x 2 outputs
//   y       f32[n, out, y_plane]            write  every element written once
//
// One invocation per item, tile of 4 x 2 pixels and group of 16 output channels: a 4x4 matrix of channels per
// pixel stays in registers.
// Twin: src/kernels/nn/conv.rs. Snippets: levels, channels, tile, walk.

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

// The inputs in the row at `at`, starting at `column`, that the windows of the tile's outputs cover. A tile
// may extend past the level: columns are clamped, and results beyond the level are dropped.
fn line(at: u32, column: u32, edge: u32) -> Line {
    let j = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(edge));
    var l = Line(x[at + j.x], x[at + j.y], x[at + j.z], x[at + j.w], 0.0, 0.0);
    if K > 1u { l.e = x[at + min(column + 4u, edge)]; }
    if K > 2u { l.f = x[at + min(column + 5u, edge)]; }
    return l;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var at = workgroup.x * 64u; at < p.n * p.tiles; at += WALKERS * 64u) { block(at + lane, workgroup.y); }
}

// Computes tile number `index` of all items in a group of channels. The group is taken from the workgroup, so
// that a compiler can see that all invocations read the same weights.
fn block(index: u32, group: u32) {
    let item = index / p.tiles;
    if item >= p.n { return; }
    let tile = index % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 4u;
    let row = (tile - level.tile) / level.columns * 2u;
    let start = mat4x4f(bias[group * 4u], bias[group * 4u + 1u], bias[group * 4u + 2u], bias[group * 4u + 3u]);
    var upper = Sums(start, start, start, start);
    var lower = upper;
    let edge = level.x_w - 1u;
    let rows = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    var at = group * p.c * K * K * 4u;
    var plane = item * p.c * p.x_plane + level.x;
    for (var c = 0u; c < p.c; c++) {
        if K > 3u {
            for (var u = 0u; u < K; u++) {
                let row0 = plane + min(row + u, level.x_h - 1u) * level.x_w;
                let row1 = plane + min(row + u + 1u, level.x_h - 1u) * level.x_w;
                for (var v = 0u; v < K; v++) {
                    let l0 = line(row0, column + v, edge);
                    let l1 = line(row1, column + v, edge);
                    upper = tap(at, l0.a, l0.b, l0.c, l0.d, upper);
                    lower = tap(at, l1.a, l1.b, l1.c, l1.d, lower);
                    at += 4u;
                }
            }
        } else {
            // Every pixel of the tile's windows is read once.
            let l0 = line(plane + rows.x, column, edge);
            let l1 = line(plane + rows.y, column, edge);
            upper = taps(at, l0, upper);
            lower = taps(at, l1, lower);
            if K > 1u {
                let l2 = line(plane + rows.z, column, edge);
                upper = taps(at + 4u * K, l1, upper);
                lower = taps(at + 4u * K, l2, lower);
                if K > 2u {
                    let l3 = line(plane + rows.w, column, edge);
                    upper = taps(at + 8u * K, l2, upper);
                    lower = taps(at + 8u * K, l3, lower);
                }
            }
            at += 4u * K * K;
        }
        plane += p.x_plane;
    }
    let out = (item * p.out + group * 16u) * p.y_plane + level.y + row * level.y_w + column;
    let width = level.y_w - column;
    store_line(upper, group, out, width);
    if row + 1u < level.y_h { store_line(lower, group, out + level.y_w, width); }
}

fn store_line(sums: Sums, group: u32, at: u32, width: u32) {
    store(sums.a, group, at);
    if width > 1u { store(sums.b, group, at + 1u); }
    if width > 2u { store(sums.c, group, at + 2u); }
    if width > 3u { store(sums.d, group, at + 3u); }
}

fn store(sums: mat4x4f, group: u32, at: u32) {
    store4(prelu(sums[0], slope[group * 4u]), group * 16u, at);
    store4(prelu(sums[1], slope[group * 4u + 1u]), group * 16u + 4u, at + 4u * p.y_plane);
    store4(prelu(sums[2], slope[group * 4u + 2u]), group * 16u + 8u, at + 8u * p.y_plane);
    store4(prelu(sums[3], slope[group * 4u + 3u]), group * 16u + 12u, at + 12u * p.y_plane);
}
