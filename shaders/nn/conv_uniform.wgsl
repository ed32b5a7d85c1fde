// conv_uniform: the convolution of nn/conv for K at most 3 and weights that fit a uniform buffer: all groups,
// or some of them starting at `first`
//
//   x       f32[n, c, x_plane]       read     activations
//   weight  vec4f[4096]              uniform  [groups, c, K, K, 16] of these groups, the rest unused
//   bias    vec4f[all groups, 4]     read
//   slope   vec4f[all groups, 4]     read     prelu(v) = v > 0 ? v : slope * v; all ones for a linear layer
//   levels  Level[levels]            read     tiles of 3 x 3 outputs
//   y       f32[n, out, y_plane]     update   channels of these groups, each element written once
//
// One invocation per item, tile and group, with all sums in registers. Twin: src/kernels/nn/conv_uniform.rs.
// Snippets: levels, channels, walk.

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
    first: u32, // first group
    groups: u32,
}

// Five pixels of a row; their positions; and four channels of 3 x 3 outputs.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32 }
struct Places { a: u32, b: u32, c: u32, d: u32, e: u32 }
struct Quad { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f, f: vec4f, g: vec4f, h: vec4f, i: vec4f }

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

// All products of one output's window at once, so that its sums are read and written once per input channel.
fn one(s: vec4f, at: u32, a: f32, b: f32, c: f32, d: f32, e: f32, f: f32, g: f32, h: f32, i: f32) -> vec4f {
    var t = s + weight[at] * a;
    if K > 1u { t = t + weight[at + 4u] * b + weight[at + 4u * K] * d + weight[at + 4u * K + 4u] * e; }
    if K > 2u { t = t + weight[at + 8u] * c + weight[at + 20u] * f + weight[at + 24u] * g + weight[at + 28u] * h + weight[at + 32u] * i; }
    return t;
}

fn window(s: Quad, at: u32, l: Line, m: Line, n: Line, o: Line, q: Line) -> Quad {
    return Quad(
        one(s.a, at, l.a, l.b, l.c, m.a, m.b, m.c, n.a, n.b, n.c),
        one(s.b, at, l.b, l.c, l.d, m.b, m.c, m.d, n.b, n.c, n.d),
        one(s.c, at, l.c, l.d, l.e, m.c, m.d, m.e, n.c, n.d, n.e),
        one(s.d, at, m.a, m.b, m.c, n.a, n.b, n.c, o.a, o.b, o.c),
        one(s.e, at, m.b, m.c, m.d, n.b, n.c, n.d, o.b, o.c, o.d),
        one(s.f, at, m.c, m.d, m.e, n.c, n.d, n.e, o.c, o.d, o.e),
        one(s.g, at, n.a, n.b, n.c, o.a, o.b, o.c, q.a, q.b, q.c),
        one(s.h, at, n.b, n.c, n.d, o.b, o.c, o.d, q.b, q.c, q.d),
        one(s.i, at, n.c, n.d, n.e, o.c, o.d, o.e, q.c, q.d, q.e),
    );
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var at = workgroup.x * 64u; at < p.n * p.tiles; at += WALKERS * 64u) { block(at + lane, workgroup.y); }
}

// Computes tile number `index` of all items in a group of channels.
fn block(index: u32, group: u32) {
    let item = index / p.tiles;
    if item >= p.n { return; }
    let tile = index % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 3u;
    let row = (tile - level.tile) / level.columns * 3u;
    // A tile may extend past the level: rows and columns are clamped, and results beyond the level are
    // dropped below.
    let i = min(vec4u(row) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    let low = min(row + 4u, level.x_h - 1u) * level.x_w;
    let j = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let places = Places(j.x, j.y, j.z, j.w, min(column + 4u, level.x_w - 1u));
    let quad = (p.first + group) * 4u;
    var s0 = start(bias[quad]);
    var s1 = start(bias[quad + 1u]);
    var s2 = start(bias[quad + 2u]);
    var s3 = start(bias[quad + 3u]);
    var at = group * p.c * K * K * 4u;
    var plane = item * p.c * p.x_plane + level.x;
    for (var c = 0u; c < p.c; c++) {
        let l0 = line(plane + i.x, places);
        let l1 = line(plane + i.y, places);
        let l2 = line(plane + i.z, places);
        let l3 = line(plane + i.w, places);
        let l4 = line(plane + low, places);
        s0 = window(s0, at, l0, l1, l2, l3, l4);
        s1 = window(s1, at + 1u, l0, l1, l2, l3, l4);
        s2 = window(s2, at + 2u, l0, l1, l2, l3, l4);
        s3 = window(s3, at + 3u, l0, l1, l2, l3, l4);
        at += 4u * K * K;
        plane += p.x_plane;
    }
    let out = (item * p.out + quad * 4u) * p.y_plane + level.y + row * level.y_w + column;
    let size = vec2u(level.y_w - column, level.y_h - row);
    store(s0, quad, out, size, level.y_w);
    store(s1, quad + 1u, out + 4u * p.y_plane, size, level.y_w);
    store(s2, quad + 2u, out + 8u * p.y_plane, size, level.y_w);
    store(s3, quad + 3u, out + 12u * p.y_plane, size, level.y_w);
}

fn start(b: vec4f) -> Quad { return Quad(b, b, b, b, b, b, b, b, b); }

fn store(s: Quad, quad: u32, at: u32, size: vec2u, width: u32) {
    three(s.a, s.b, s.c, quad, at, size.x);
    if size.y > 1u { three(s.d, s.e, s.f, quad, at + width, size.x); }
    if size.y > 2u { three(s.g, s.h, s.i, quad, at + 2u * width, size.x); }
}

fn three(a: vec4f, b: vec4f, c: vec4f, quad: u32, at: u32, count: u32) {
    store4(prelu(a, slope[quad]), quad * 4u, at);
    if count > 1u { store4(prelu(b, slope[quad]), quad * 4u, at + 1u); }
    if count > 2u { store4(prelu(c, slope[quad]), quad * 4u, at + 2u); }
}
