// convolution_backward_weight: dweight[o,c,u,v] += sum_{n,i,j} dy[n,o,i,j] * x[n, c, i*stride + u - padding,
// j*stride + v - padding], x zero outside; with several slabs, the sums of each slab instead
//
//   x        f32[n, c, h, w]                        read
//   dy       f32[n, out, y_h, y_w]                  read
//   dweight  f32[slabs, out, c / groups, K, K]      update  c counts the channels of the group of o; for `reduce` if slabs > 1
//
// A slab is `slab` neighbouring places (n, i, j). Of each slab and group a product of gradients (rows:
// outputs) with windows (columns: channels and taps), as deep as a slab. TILED: a workgroup has 64 x 64
// results; else 16 x 256, 4 columns an invocation. Twin: src/kernels/nn/convolution_backward_weight.rs.
// Snippets: product, grid.

override K: u32;
override TILED: bool;

struct ConvolutionBackwardWeight {
    n: u32,
    c: u32,
    h: u32,
    w: u32,
    out: u32,
    k: u32,
    stride: u32,
    padding: u32,
    groups: u32,
    y_h: u32,
    y_w: u32,
    slab: u32,  // places of a slab, the last may have fewer
    slabs: u32,
    tiled: u32, // TILED
}

@group(0) @binding(0) var<uniform> p: ConvolutionBackwardWeight;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<f32>;

// Of the workgroup: its group, slab and the place where that ends; and of the invocation's four columns of
// the weights: channel, row and column of the element under each in the window at (0, 0), above and left of x
// wrapping around.
var<private> group: u32;
var<private> slab: u32;
var<private> end: u32;
var<private> channel: vec4u;
var<private> top: vec4u;
var<private> side: vec4u;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let outputs = p.out / p.groups;
    let channels = p.c / p.groups;
    let size = tile_size();
    let tiles = (vec2u(outputs, channels * K * K) + size - 1u) / size;
    let flat = flat_workgroup(workgroup);
    slab = flat / (tiles.x * tiles.y * p.groups);
    if slab >= p.slabs { return; }
    group = flat / (tiles.x * tiles.y) % p.groups;
    end = min((slab + 1u) * p.slab, p.n * p.y_h * p.y_w);
    let first = flat / tiles.y % tiles.x * size.x;
    let left = flat % tiles.y * size.y;
    let column = columns_read(lane, left, channels * K * K);
    channel = (group * channels + column / (K * K)) * (p.h * p.w);
    top = column / K % K - p.padding;
    side = column % K - p.padding;
    store_all(lane, first, left, multiply(lane, first, slab * p.slab, end, 0u, Sums()));
}

// Elements under four columns at a place: zero outside x, and from the slab's end on.
fn four_columns(place: u32) -> vec4f {
    let row = top + place / p.y_w % p.y_h * p.stride;
    let column = side + place % p.y_w * p.stride;
    let inside = (row < vec4u(p.h)) & (column < vec4u(p.w)) & vec4<bool>(place < end);
    let item = place / (p.y_h * p.y_w) * p.c * (p.h * p.w);
    let i = (channel + item + row * p.w + column) * vec4u(inside);
    return select(vec4f(0.0), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), inside);
}

// Gradients of four outputs of the group at a place; those beyond the last repeat it, and what becomes of
// them is dropped.
fn four_rows(o: u32, place: u32, tap: u32) -> vec4f {
    let plane = p.y_h * p.y_w;
    let outputs = p.out / p.groups;
    let before = min(place, end - 1u);
    let row = group * outputs + min(vec4u(o) + vec4u(0u, 1u, 2u, 3u), vec4u(outputs - 1u));
    let i = (before / plane * p.out + row) * plane + before % plane;
    return vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]);
}

fn store(o: u32, column: u32, v: vec4f) {
    let outputs = p.out / p.groups;
    let columns = p.c / p.groups * K * K;
    if column >= columns { return; }
    let i = (slab * p.out + group * outputs + o) * columns + column;
    add(i, v.x, o < outputs);
    add(i + columns, v.y, o + 1u < outputs);
    add(i + 2u * columns, v.z, o + 2u < outputs);
    add(i + 3u * columns, v.w, o + 3u < outputs);
}

fn add(i: u32, v: f32, exists: bool) {
    if !exists { return; }
    if p.slabs == 1u { dweight[i] += v; } else { dweight[i] = v; }
}
