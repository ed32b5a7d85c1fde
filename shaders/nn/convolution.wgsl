// convolution: y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n, c, i*stride + u - padding, j*stride
// + v - padding], x zero outside; with an activation min(y > 0 ? y : slope[o] * y, most)
//
//   x       f32[n, c, h, w]                 read
//   weight  f32[out, c / groups, K, K]      read   c counts the channels of the group of o
//   bias    f32[out]                        read   one element that is not read if there is no bias
//   slope   f32[out]                        read   one element that is not read if there is no activation
//   y       f32[n, out, y_h, y_w]           write  every element written once
//
// A product of weights (rows: outputs of a group) with windows (columns: places (n, i, j) end to end), as
// deep as channels times taps. TILED: a workgroup has 64 x 64 results; else 16 x 256, 4 places an invocation.
// Twin: src/kernels/nn/convolution.rs. Snippets: product, grid.

override K: u32;
override TILED: bool;

struct Convolution {
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
    bias: u32,   // whether there is one
    tiled: u32,  // TILED
    sloped: u32, // whether there is an activation
    most: f32,   // its largest result
}

@group(0) @binding(0) var<uniform> p: Convolution;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> slope: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

// Of the workgroup; and of the invocation's four places: their elements under the tap in the group's first
// channel.
var<private> group: u32;
var<private> at: vec4u;
var<private> inside: vec4<bool>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let outputs = p.out / p.groups;
    let channels = p.c / p.groups;
    let places = p.n * p.y_h * p.y_w;
    let size = tile_size();
    let tiles = (vec2u(outputs, places) + size - 1u) / size;
    let flat = flat_workgroup(workgroup);
    group = flat / (tiles.x * tiles.y);
    if group >= p.groups { return; }
    let first = flat / tiles.y % tiles.x * size.x;
    let left = flat % tiles.y * size.y;
    let place = columns_read(lane, left, places);
    let top = place / p.y_w % p.y_h * p.stride - p.padding;
    let side = place % p.y_w * p.stride - p.padding;
    let item = (place / (p.y_h * p.y_w) * p.c + group * channels) * (p.h * p.w);
    var sums = Sums();
    for (var tap = 0u; tap < K * K; tap++) {
        // Above and left of the image they wrap around, and so lie outside too.
        let row = top + tap / K;
        let column = side + tap % K;
        inside = (row < vec4u(p.h)) & (column < vec4u(p.w));
        at = (item + row * p.w + column) * vec4u(inside);
        sums = multiply(lane, first, 0u, channels, tap, sums);
    }
    store_all(lane, first, left, sums);
}

// Elements of channel `c` of the group: zero outside the image, and beyond the last channel.
fn four_columns(c: u32) -> vec4f {
    let channels = p.c / p.groups;
    let i = at + min(c, channels - 1u) * (p.h * p.w) * vec4u(inside);
    return select(vec4f(0.0), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), inside & vec4<bool>(c < channels));
}

// Weights of four outputs of the group; those beyond the last repeat it, and what becomes of them is dropped.
fn four_rows(o: u32, c: u32, tap: u32) -> vec4f {
    let outputs = p.out / p.groups;
    let channels = p.c / p.groups;
    let row = group * outputs + min(vec4u(o) + vec4u(0u, 1u, 2u, 3u), vec4u(outputs - 1u));
    let i = (row * channels + min(c, channels - 1u)) * (K * K) + tap;
    return vec4f(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
}

fn store(o: u32, place: u32, v: vec4f) {
    let plane = p.y_h * p.y_w;
    let outputs = p.out / p.groups;
    if place >= p.n * plane { return; }
    let channel = group * outputs + o;
    let i = (place / plane * p.out + channel) * plane + place % plane;
    if o < outputs { y[i] = finished(v.x, channel); }
    if o + 1u < outputs { y[i + plane] = finished(v.y, channel + 1u); }
    if o + 2u < outputs { y[i + 2u * plane] = finished(v.z, channel + 2u); }
    if o + 3u < outputs { y[i + 3u * plane] = finished(v.w, channel + 3u); }
}

// A sum of output `o`, with its bias and activation.
fn finished(sum: f32, o: u32) -> f32 {
    var v = sum;
    if p.bias > 0u { v += bias[o]; }
    if p.sloped > 0u { v = min(select(slope[o] * v, v, v > 0.0), p.most); }
    return v;
}
