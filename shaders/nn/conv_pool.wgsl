// conv_pool: y = max_pool(prelu_o(bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n,c,i+u,j+v])): the first layers of a net in one (spec 2)
//
//   x           f32[n, 3, x_plane]       read     normalised pixels
//   parameters  vec4f[256]               uniform  weights [groups, 3, 3, 3, 16], bias and slope [groups, 16] each
//   levels      Level[levels]            read     tiles of 2 x 2 outputs
//   y           f32[n, out, y_plane]     write    every element written once
//
// Valid 3 x 3 convolution of three channels, then windows of POOL x POOL, 2 apart, in ceil mode. One invocation per item and tile, for all
// channels: the pixels under it stay in registers. With POOL 3 windows overlap and part of the convolution is computed twice, which is
// cheaper than writing it and reading it nine times.
// Twin: src/kernels/nn/conv_pool.rs. Snippets: levels.

override POOL: u32;

struct ConvPool {
    n: u32,
    out: u32,
    pool: u32,
    x_plane: u32,
    y_plane: u32,
    levels: u32,
    tiles: u32, // per item, all levels
}

// Seven pixels of a row, their places, three channels of them.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32, f: f32, g: f32 }
struct Places { a: u32, b: u32, c: u32, d: u32, e: u32, f: u32, g: u32 }
struct Pixels { r: Line, g: Line, b: Line }
// Five neighbouring outputs of the convolution, and two of the pooling, four channels each.
struct Sums { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f }
struct Pair { left: vec4f, right: vec4f }

@group(0) @binding(0) var<uniform> p: ConvPool;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> parameters: array<vec4f, 256>;
@group(0) @binding(3) var<storage, read> levels: array<Level>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn line(at: u32, j: Places) -> Line {
    return Line(x[at + j.a], x[at + j.b], x[at + j.c], x[at + j.d], x[at + j.e], x[at + j.f], x[at + j.g]);
}

// One row of weights over a line.
fn taps(s: Sums, l: Line, at: u32) -> Sums {
    let u = parameters[at];
    let v = parameters[at + 4u];
    let w = parameters[at + 8u];
    return Sums(
        s.a + u * l.a + v * l.b + w * l.c,
        s.b + u * l.b + v * l.c + w * l.d,
        s.c + u * l.c + v * l.d + w * l.e,
        s.d + u * l.d + v * l.e + w * l.f,
        s.e + u * l.e + v * l.f + w * l.g,
    );
}

fn prelu(s: vec4f, slope: vec4f) -> vec4f { return select(slope * s, s, s > vec4f(0.0)); }

// A row of the convolution, pooled to two columns; `left` of its five columns exist.
fn row(quad: u32, top: Pixels, middle: Pixels, low: Pixels, left: u32) -> Pair {
    let quads = (p.out + 15u) / 16u * 4u;
    let bias = parameters[quads * 27u + quad];
    let slope = parameters[quads * 28u + quad];
    let at = quad / 4u * 108u + quad % 4u;
    var s = Sums(bias, bias, bias, bias, bias);
    s = taps(taps(taps(s, top.r, at), middle.r, at + 12u), low.r, at + 24u);
    s = taps(taps(taps(s, top.g, at + 36u), middle.g, at + 48u), low.g, at + 60u);
    s = taps(taps(taps(s, top.b, at + 72u), middle.b, at + 84u), low.b, at + 96u);
    // What lies outside repeats its neighbour in the window.
    let a = prelu(s.a, slope);
    let b = select(a, prelu(s.b, slope), left > 1u);
    let c = select(b, prelu(s.c, slope), left > 2u);
    let d = select(c, prelu(s.d, slope), left > 3u);
    if POOL == 2u { return Pair(max(a, b), max(c, d)); }
    let e = select(d, prelu(s.e, slope), left > 4u);
    return Pair(max(max(a, b), c), max(max(c, d), e));
}

fn highest(a: Pair, b: Pair, exists: bool) -> Pair {
    return Pair(select(a.left, max(a.left, b.left), exists), select(a.right, max(a.right, b.right), exists));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.tiles;
    if item >= p.n { return; }
    let tile = id.x % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 2u;
    let first = (tile - level.tile) / level.columns * 2u;
    // Columns and rows are held inside the level; what they give is dropped below.
    let i = min(vec4u(2u * first) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    let k = min(vec3u(2u * first) + vec3u(4u, 5u, 6u), vec3u(level.x_h - 1u)) * level.x_w;
    let j = min(vec4u(2u * column) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let l = min(vec3u(2u * column) + vec3u(4u, 5u, 6u), vec3u(level.x_w - 1u));
    let places = Places(j.x, j.y, j.z, j.w, l.x, l.y, l.z);
    let red = item * 3u * p.x_plane + level.x;
    let l0 = pixels(red + i.x, places);
    let l1 = pixels(red + i.y, places);
    let l2 = pixels(red + i.z, places);
    let l3 = pixels(red + i.w, places);
    let l4 = pixels(red + k.x, places);
    let l5 = pixels(red + k.y, places);
    let l6 = pixels(red + k.z, places);
    let left = level.x_w - 2u - 2u * column;
    let rows = level.x_h - 2u - 2u * first;
    for (var quad = 0u; quad * 4u < p.out; quad++) {
        let middle = row(quad, l2, l3, l4, left);
        var top = highest(row(quad, l0, l1, l2, left), row(quad, l1, l2, l3, left), rows > 1u);
        var bottom = highest(middle, row(quad, l3, l4, l5, left), rows > 3u);
        if POOL == 3u {
            top = highest(top, middle, rows > 2u);
            bottom = highest(bottom, row(quad, l4, l5, l6, left), rows > 4u);
        }
        let out = (item * p.out + quad * 4u) * p.y_plane + level.y + first * level.y_w + column;
        let right = column + 1u < level.y_w;
        store(top, quad, out, right);
        if first + 1u < level.y_h { store(bottom, quad, out + level.y_w, right); }
    }
}

fn pixels(at: u32, j: Places) -> Pixels {
    return Pixels(line(at, j), line(at + p.x_plane, j), line(at + 2u * p.x_plane, j));
}

fn store(v: Pair, quad: u32, at: u32, right: bool) {
    store4(v.left, quad, at);
    if right { store4(v.right, quad, at + 1u); }
}

fn store4(v: vec4f, quad: u32, at: u32) {
    let left = p.out - quad * 4u;
    y[at] = v.x;
    if left > 1u { y[at + p.y_plane] = v.y; }
    if left > 2u { y[at + 2u * p.y_plane] = v.z; }
    if left > 3u { y[at + 3u * p.y_plane] = v.w; }
}
