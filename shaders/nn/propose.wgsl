// propose: the last layers of P-Net, fused (spec 2.1): convolution to 32 channels and PReLU, 1 x 1 heads,
// softmax, and the count of cells that pass
//
//   x           f32[images, c, x_plane]    read     activations
//   parameters  vec4f[1300]                uniform  see below; unused ones are zero
//   levels      Level[levels]              read     tiles of 6 x 1 cells
//   heads       f32[images, 5, cells]      write    face probability, four box offsets; each written once
//   counts      u32[images, blocks]        write    cells over the threshold per workgroup; top bit: a NaN
//
// Parameters as packed for nn/conv: weights [2, c, 3, 3, 16], bias [32], slope [32], the heads'
// weights [32, 16] (six are used) and bias [16]. One invocation per tile, images along y: a workgroup is a
// block of cells in order. Twin: src/kernels/nn/propose.rs. Snippets: levels, probability.

struct Propose {
    images: u32,
    c: u32, // at most 16
    x_plane: u32,
    cells: u32,
    levels: u32,
    tiles: u32,
    blocks: u32,
    threshold: f32,
}

// Eight adjacent elements of a row; 16 channels of six adjacent cells; the two used quads of the heads.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32, f: f32, g: f32, h: f32 }
struct Cells { a: mat4x4f, b: mat4x4f, c: mat4x4f, d: mat4x4f, e: mat4x4f, f: mat4x4f }
struct Head { first: vec4f, second: vec4f }

@group(0) @binding(0) var<uniform> p: Propose;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> parameters: array<vec4f, 1300>;
@group(0) @binding(3) var<storage, read> levels: array<Level>;
@group(0) @binding(4) var<storage, read_write> heads: array<f32>;
@group(0) @binding(5) var<storage, read_write> counts: array<u32>;

var<workgroup> hits: array<u32, 64>;

fn sixteen(at: u32) -> mat4x4f {
    return mat4x4f(parameters[at], parameters[at + 1u], parameters[at + 2u], parameters[at + 3u]);
}

fn taps(s: Cells, l: Line, at: u32) -> Cells {
    let u = sixteen(at);
    let v = sixteen(at + 4u);
    let w = sixteen(at + 8u);
    return Cells(
        s.a + u * l.a + v * l.b + w * l.c,
        s.b + u * l.b + v * l.c + w * l.d,
        s.c + u * l.c + v * l.d + w * l.e,
        s.d + u * l.d + v * l.e + w * l.f,
        s.e + u * l.e + v * l.f + w * l.g,
        s.f + u * l.f + v * l.g + w * l.h,
    );
}

// Adds four channels to the heads, whose weights start at `at`.
fn four(h: Head, sums: vec4f, slope: vec4f, at: u32) -> Head {
    let v = select(slope * sums, sums, sums > vec4f(0.0));
    return Head(
        h.first + parameters[at] * v.x + parameters[at + 4u] * v.y + parameters[at + 8u] * v.z + parameters[at + 12u] * v.w,
        h.second + parameters[at + 1u] * v.x + parameters[at + 5u] * v.y + parameters[at + 9u] * v.z + parameters[at + 13u] * v.w,
    );
}

// Writes the heads of one cell. Returns 1 if the cell passes, 65536 if its probability is NaN, otherwise 0.
fn verdict(low: mat4x4f, high: mat4x4f, at: u32) -> u32 {
    let weight = p.c * 72u + 16u;
    let l = sixteen(weight - 8u);
    let m = sixteen(weight - 4u);
    var h = Head(parameters[weight + 128u], parameters[weight + 129u]);
    h = four(four(h, low[0], l[0], weight), low[1], l[1], weight + 16u);
    h = four(four(h, low[2], l[2], weight + 32u), low[3], l[3], weight + 48u);
    h = four(four(h, high[0], m[0], weight + 64u), high[1], m[1], weight + 80u);
    h = four(four(h, high[2], m[2], weight + 96u), high[3], m[3], weight + 112u);
    let score = face_probability(h.first.x, h.first.y);
    heads[at] = score;
    heads[at + p.cells] = h.first.z;
    heads[at + 2u * p.cells] = h.first.w;
    heads[at + 3u * p.cells] = h.second.x;
    heads[at + 4u * p.cells] = h.second.y;
    return select(select(0u, 1u, bitcast<u32>(score) >= bitcast<u32>(p.threshold)), 65536u, is_nan(score));
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) block: vec3u) {
    let tile = min(block.x * 64u + lane, p.tiles - 1u);
    let level = level_of(tile, p.levels);
    let row = (tile - level.tile) / level.columns;
    let column = (tile - level.tile) % level.columns * 6u;
    // A tile may extend past its level: its columns are clamped, and results beyond the level are dropped
    // below.
    let j = min(vec4u(column) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let k = min(vec4u(column) + vec4u(4u, 5u, 6u, 7u), vec4u(level.x_w - 1u));
    let start = sixteen(p.c * 72u);
    let other = sixteen(p.c * 72u + 4u);
    var low = Cells(start, start, start, start, start, start);
    var high = Cells(other, other, other, other, other, other);
    for (var c = 0u; c < p.c; c++) {
        for (var u = 0u; u < 3u; u++) {
            let at = (block.y * p.c + c) * p.x_plane + level.x + (row + u) * level.x_w;
            let l = Line(x[at + j.x], x[at + j.y], x[at + j.z], x[at + j.w], x[at + k.x], x[at + k.y], x[at + k.z], x[at + k.w]);
            low = taps(low, l, (c * 9u + u * 3u) * 4u);
            high = taps(high, l, ((p.c + c) * 9u + u * 3u) * 4u);
        }
    }
    var found = 0u;
    if block.x * 64u + lane < p.tiles {
        let at = block.y * 5u * p.cells + level.y + row * level.y_w + column;
        found = verdict(low.a, high.a, at);
        if column + 1u < level.y_w { found += verdict(low.b, high.b, at + 1u); }
        if column + 2u < level.y_w { found += verdict(low.c, high.c, at + 2u); }
        if column + 3u < level.y_w { found += verdict(low.d, high.d, at + 3u); }
        if column + 4u < level.y_w { found += verdict(low.e, high.e, at + 4u); }
        if column + 5u < level.y_w { found += verdict(low.f, high.f, at + 5u); }
    }
    hits[lane] = found;
    workgroupBarrier();
    if lane > 0u { return; }
    var all = 0u;
    for (var i = 0u; i < 64u; i++) { all += hits[i]; }
    counts[block.y * p.blocks + block.x] = (all & 0xffffu) | select(0u, 0x80000000u, all > 0xffffu);
}
