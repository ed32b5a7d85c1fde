// conv_uniform: the convolution of nn/conv for K at most 3 and weights that fit a uniform buffer: of all groups, or of some from `first` on
//
//   x       f32[n, c, x_plane]       read     activations
//   weight  vec4f[4096]              uniform  [groups, c, K, K, 16] of the groups at hand, the rest unused
//   bias    vec4f[all groups, 4]     read
//   slope   vec4f[all groups, 4]     read     prelu(v) = v > 0 ? v : slope * v; all ones for a linear layer
//   levels  Level[levels]            read     tiles of 3 x 3 outputs
//   y       f32[n, out, y_plane]     update   channels of the groups at hand, each element written once; out is a multiple of 4
//
// One invocation per item, tile and group, all sums in registers. Twin: src/kernels/nn/conv_uniform.rs. Snippets: levels.

override K: u32;

struct ConvUniform {
    n: u32,
    c: u32,
    out: u32,
    k: u32,
    x_plane: u32,
    y_plane: u32,
    levels: u32,
    tiles: u32, // per item, all levels
    first: u32, // group
    groups: u32,
}

// Five pixels of a row, their places, and 16 channels of three neighbouring outputs.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32 }
struct Places { a: u32, b: u32, c: u32, d: u32, e: u32 }
struct Strip { a: mat4x4f, b: mat4x4f, c: mat4x4f }

@group(0) @binding(0) var<uniform> p: ConvUniform;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> weight: array<vec4f, 4096>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> slope: array<vec4f>;
@group(0) @binding(5) var<storage, read> levels: array<Level>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

fn line(at: u32, j: Places) -> Line {
    return Line(x[at + j.a], x[at + j.b], x[at + j.c], x[at + j.d], x[at + j.e]);
}

fn weights(at: u32) -> mat4x4f {
    return mat4x4f(weight[at], weight[at + 1u], weight[at + 2u], weight[at + 3u]);
}

// One row of weights over a line.
fn taps(s: Strip, l: Line, at: u32) -> Strip {
    let u = weights(at);
    var t = Strip(s.a + u * l.a, s.b + u * l.b, s.c + u * l.c);
    if K > 1u {
        let v = weights(at + 4u);
        t = Strip(t.a + v * l.b, t.b + v * l.c, t.c + v * l.d);
    }
    if K > 2u {
        let w = weights(at + 8u);
        t = Strip(t.a + w * l.c, t.b + w * l.d, t.c + w * l.e);
    }
    return t;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
    let item = id.x / p.tiles;
    if item >= p.n { return; }
    let group = p.first + workgroup.y;
    let tile = id.x % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 3u;
    let row = (tile - level.tile) / level.columns * 3u;
    // A tile may stick out of the level: rows and columns are held inside, its results are dropped below.
    let i = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    let low = min(row + 4u, level.x_h - 1u) * level.x_w;
    let j = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let places = Places(j.x, j.y, j.z, j.w, min(column + 4u, level.x_w - 1u));
    let start = mat4x4f(bias[group * 4u], bias[group * 4u + 1u], bias[group * 4u + 2u], bias[group * 4u + 3u]);
    var top = Strip(start, start, start); // outputs row, row + 1, row + 2
    var middle = top;
    var bottom = top;
    var at = workgroup.y * p.c * K * K * 4u;
    var plane = item * p.c * p.x_plane + level.x;
    for (var c = 0u; c < p.c; c++) {
        let l0 = line(plane + i.x, places);
        let l1 = line(plane + i.y, places);
        let l2 = line(plane + i.z, places);
        let l3 = line(plane + i.w, places);
        let l4 = line(plane + low, places);
        top = taps(top, l0, at);
        middle = taps(middle, l1, at);
        bottom = taps(bottom, l2, at);
        if K > 1u {
            top = taps(top, l1, at + 4u * K);
            middle = taps(middle, l2, at + 4u * K);
            bottom = taps(bottom, l3, at + 4u * K);
        }
        if K > 2u {
            top = taps(top, l2, at + 8u * K);
            middle = taps(middle, l3, at + 8u * K);
            bottom = taps(bottom, l4, at + 8u * K);
        }
        at += 4u * K * K;
        plane += p.x_plane;
    }
    let out = (item * p.out + group * 16u) * p.y_plane + level.y + row * level.y_w + column;
    let width = level.y_w - column;
    store_strip(top, group, out, width);
    if row + 1u < level.y_h { store_strip(middle, group, out + level.y_w, width); }
    if row + 2u < level.y_h { store_strip(bottom, group, out + 2u * level.y_w, width); }
}

fn store_strip(s: Strip, group: u32, at: u32, width: u32) {
    store(s.a, group, at);
    if width > 1u { store(s.b, group, at + 1u); }
    if width > 2u { store(s.c, group, at + 2u); }
}

fn store(sums: mat4x4f, group: u32, at: u32) {
    store4(sums[0], group * 4u, at);
    store4(sums[1], group * 4u + 1u, at + 4u * p.y_plane);
    store4(sums[2], group * 4u + 2u, at + 8u * p.y_plane);
    store4(sums[3], group * 4u + 3u, at + 12u * p.y_plane);
}

fn store4(sums: vec4f, quad: u32, at: u32) {
    if quad * 4u >= p.out { return; }
    let v = select(slope[quad] * sums, sums, sums > vec4f(0.0));
    y[at] = v.x;
    y[at + p.y_plane] = v.y;
    y[at + 2u * p.y_plane] = v.z;
    y[at + 3u * p.y_plane] = v.w;
}
