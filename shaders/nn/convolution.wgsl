// convolution: y[n,o,i,j] = bias[o] + sum_{c,u,v} weight[o,c,u,v] * x[n, c, i*stride + u - padding, j*stride + v - padding], x zero outside
//
//   x       f32[n, c, h, w]                 read
//   weight  f32[out, c / groups, K, K]      read   c counts the channels of the group of o
//   bias    f32[out]                        read   one element that is not read if there is no bias
//   y       f32[n, out, y_h, y_w]           write  every element written once
//
// A product of weights (rows: outputs of a group) with windows (columns: places (n, i, j) end to end), as deep as channels times taps.
// TILED: a workgroup has 64 x 64 results; else 16 x 256, 4 places an invocation.
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
    bias: u32,  // whether there is one
    tiled: u32, // TILED
}

@group(0) @binding(0) var<uniform> p: Convolution;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let outputs = p.out / p.groups;
    let channels = p.c / p.groups;
    var height = 16u;
    var width = 256u;
    if TILED { height = 64u; width = 64u; }
    let across = (p.n * p.y_h * p.y_w + width - 1u) / width;
    let down = (outputs + height - 1u) / height;
    let flat = flat_workgroup(workgroup);
    let group = flat / (across * down);
    if group >= p.groups { return; }
    let first = group * outputs + flat / across % down * height;
    let left = flat % across * width;
    // The places whose elements this invocation reads; those beyond the last repeat it.
    var quad = lane;
    if TILED { quad = lane % 16u; }
    let place = min(vec4u(left + quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n * p.y_h * p.y_w - 1u));
    let top = place / p.y_w % p.y_h * p.stride - p.padding;
    let side = place % p.y_w * p.stride - p.padding;
    let item = (place / (p.y_h * p.y_w) * p.c + group * channels) * (p.h * p.w);
    var sums = Sums();
    for (var tap = 0u; tap < K * K; tap++) {
        // Above and left of the image they wrap around, and so lie outside too.
        let row = top + tap / K;
        let column = side + tap % K;
        let inside = (row < vec4u(p.h)) & (column < vec4u(p.w));
        let at = (item + row * p.w + column) * vec4u(inside);
        if TILED {
            for (var c = 0u; c < channels; c += 16u) {
                let k = lane / 16u;
                right_tile[lane] = pixels(at, c + k, inside);
                right_tile[lane + 64u] = pixels(at, c + k + 4u, inside);
                right_tile[lane + 128u] = pixels(at, c + k + 8u, inside);
                right_tile[lane + 192u] = pixels(at, c + k + 12u, inside);
                let l = lane % 16u * 16u + k;
                left_tile[l] = weights(first + k * 4u, c + lane % 16u, tap);
                left_tile[l + 4u] = weights(first + k * 4u + 16u, c + lane % 16u, tap);
                left_tile[l + 8u] = weights(first + k * 4u + 32u, c + lane % 16u, tap);
                left_tile[l + 12u] = weights(first + k * 4u + 48u, c + lane % 16u, tap);
                sums = tile(lane, sums);
            }
        } else {
            for (var c = 0u; c < channels; c++) {
                let right = pixels(at, c, inside);
                sums = registers(sums, weights(first, c, tap), weights(first + 4u, c, tap), weights(first + 8u, c, tap), weights(first + 12u, c, tap), right);
            }
        }
    }
    var at = Corner(first, (group + 1u) * outputs, left + lane * 4u, 0u);
    if TILED { at = Corner(first + lane / 8u * 4u, at.end, left + lane % 8u * 4u, 0u); }
    store_all(at, sums);
}

// Elements of channel `c` of the group: zero beyond the last channel, and outside the image.
fn pixels(at: vec4u, c: u32, inside: vec4<bool>) -> vec4f {
    let i = at + min(c, p.c / p.groups - 1u) * (p.h * p.w) * vec4u(inside);
    return select(vec4f(0.0), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), inside & vec4<bool>(c < p.c / p.groups));
}

// Weights of four outputs; those beyond the last repeat it, and what becomes of them is dropped.
fn weights(o: u32, c: u32, tap: u32) -> vec4f {
    let channels = p.c / p.groups;
    let i = (min(vec4u(o) + vec4u(0u, 1u, 2u, 3u), vec4u(p.out - 1u)) * channels + min(c, channels - 1u)) * (K * K) + tap;
    return vec4f(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
}

fn store(at: Corner, v: vec4f) {
    let plane = p.y_h * p.y_w;
    if at.column >= p.n * plane { return; }
    let i = (at.column / plane * p.out + at.row) * plane + at.column % plane;
    if at.row < at.end { y[i] = v.x + bias_of(at.row); }
    if at.row + 1u < at.end { y[i + plane] = v.y + bias_of(at.row + 1u); }
    if at.row + 2u < at.end { y[i + 2u * plane] = v.z + bias_of(at.row + 2u); }
    if at.row + 3u < at.end { y[i + 3u * plane] = v.w + bias_of(at.row + 3u); }
}

fn bias_of(o: u32) -> f32 {
    if p.bias == 0u { return 0.0; }
    return bias[o];
}
