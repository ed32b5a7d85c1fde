// conv_pool: y = max_pool(prelu_o(bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n,c,i+u,j+v])): the first layers
// of a net, fused (spec 2)
//
//   x           f32[n, 3, x_plane]       read     normalised pixels
//   parameters  vec4f[256]               uniform  weights [groups, 3, 3, 3, 16]; bias, slope [groups, 16]
//   levels      Level[levels]            read     tiles of 2 x 2 outputs
//   y           f32[n, out, y_plane]     write    every element written once
//
// Valid 3 x 3 convolution of three channels, then windows of POOL x POOL with stride 2, in ceil mode. One
// invocation per item and tile computes all channels, so that its pixels stay in registers. With POOL 3
// windows overlap and some results are computed twice, which is cheaper than writing and reading them.
// Twin: src/kernels/nn/conv_pool.rs. Snippets: levels, channels, walk.

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

// Seven pixels of a row in three channels; five adjacent outputs of the convolution and two of the pooling,
// with four channels each.
struct Line { a: f32, b: f32, c: f32, d: f32, e: f32, f: f32, g: f32 }
struct Pixels { r: Line, g: Line, b: Line }
struct Sums { a: vec4f, b: vec4f, c: vec4f, d: vec4f, e: vec4f }
struct Pair { left: vec4f, right: vec4f }

@group(0) @binding(0) var<uniform> p: ConvPool;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<uniform> parameters: array<vec4f, 256>;
@group(0) @binding(3) var<storage, read> levels: array<Level>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn line(at: u32, j: vec4u, k: vec3u) -> Line {
    return Line(x[at + j.x], x[at + j.y], x[at + j.z], x[at + j.w], x[at + k.x], x[at + k.y], x[at + k.z]);
}

fn pixels(at: u32, j: vec4u, k: vec3u) -> Pixels {
    return Pixels(line(at, j, k), line(at + p.x_plane, j, k), line(at + 2u * p.x_plane, j, k));
}

// Applies one row of weights to a line.
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

// Computes a row of the convolution, pooled to two columns; `left` of its five columns exist.
fn row(quad: u32, top: Pixels, middle: Pixels, low: Pixels, left: u32) -> Pair {
    let quads = (p.out + 15u) / 16u * 4u;
    let bias = parameters[quads * 27u + quad];
    let slope = parameters[quads * 28u + quad];
    let at = quad / 4u * 108u + quad % 4u;
    var s = Sums(bias, bias, bias, bias, bias);
    s = taps(taps(taps(s, top.r, at), middle.r, at + 12u), low.r, at + 24u);
    s = taps(taps(taps(s, top.g, at + 36u), middle.g, at + 48u), low.g, at + 60u);
    s = taps(taps(taps(s, top.b, at + 72u), middle.b, at + 84u), low.b, at + 96u);
    // Columns outside repeat their neighbour in the window.
    let a = prelu(s.a, slope);
    let b = select(a, prelu(s.b, slope), left > 1u);
    let c = select(b, prelu(s.c, slope), left > 2u);
    let d = select(c, prelu(s.d, slope), left > 3u);
    if POOL == 2u { return Pair(max(a, b), max(c, d)); }
    let e = select(d, prelu(s.e, slope), left > 4u);
    return Pair(max(max(a, b), c), max(max(c, d), e));
}

fn max2(a: Pair, b: Pair) -> Pair { return Pair(max(a.left, b.left), max(a.right, b.right)); }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var at = workgroup.x * 64u; at < p.n * p.tiles; at += WALKERS * 64u) { block(at + lane); }
}

// Computes tile number `index` of all items.
fn block(index: u32) {
    let item = index / p.tiles;
    if item >= p.n { return; }
    let tile = index % p.tiles;
    let level = level_of(tile, p.levels);
    let column = (tile - level.tile) % level.columns * 2u;
    let first = (tile - level.tile) / level.columns * 2u;
    // Columns and rows are clamped to the level; results beyond it are dropped below.
    let i = min(vec4u(2u * first) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    let k = min(vec3u(2u * first) + vec3u(4u, 5u, 6u), vec3u(level.x_h - 1u)) * level.x_w;
    let j = min(vec4u(2u * column) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let l = min(vec3u(2u * column) + vec3u(4u, 5u, 6u), vec3u(level.x_w - 1u));
    let red = item * 3u * p.x_plane + level.x;
    let l0 = pixels(red + i.x, j, l);
    let l1 = pixels(red + i.y, j, l);
    let l2 = pixels(red + i.z, j, l);
    let l3 = pixels(red + i.w, j, l);
    let l4 = pixels(red + k.x, j, l);
    let l5 = pixels(red + k.y, j, l);
    let l6 = pixels(red + k.z, j, l);
    let left = vec2u(level.x_w, level.x_h) - 2u - 2u * vec2u(column, first);
    for (var quad = 0u; quad * 4u < p.out; quad++) {
        let middle = row(quad, l2, l3, l4, left.x);
        var top = row(quad, l0, l1, l2, left.x);
        var bottom = middle;
        if left.y > 1u { top = max2(top, row(quad, l1, l2, l3, left.x)); }
        if left.y > 3u { bottom = max2(bottom, row(quad, l3, l4, l5, left.x)); }
        if POOL == 3u && left.y > 2u { top = max2(top, middle); }
        if POOL == 3u && left.y > 4u { bottom = max2(bottom, row(quad, l4, l5, l6, left.x)); }
        let out = (item * p.out + quad * 4u) * p.y_plane + level.y + first * level.y_w + column;
        let right = column + 1u < level.y_w;
        store(top, quad, out, right);
        if first + 1u < level.y_h { store(bottom, quad, out + level.y_w, right); }
    }
}

fn store(v: Pair, quad: u32, at: u32, right: bool) {
    store4(v.left, quad * 4u, at);
    if right { store4(v.right, quad * 4u, at + 1u); }
}
