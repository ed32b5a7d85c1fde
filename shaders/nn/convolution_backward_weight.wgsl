// convolution_backward_weight: dweight[o,c,u,v] += sum_{n,i,j} dy[n,o,i,j] * x[n, c, i*stride + u - padding, j*stride + v - padding], x zero
// outside; with several slabs, the sums of each slab instead
//
//   x        f32[n, c, h, w]                        read
//   dy       f32[n, out, y_h, y_w]                  read
//   dweight  f32[slabs, out, c / groups, K, K]      update  c counts the channels of the group of o; for `reduce` if slabs > 1
//
// A slab is `slab` neighbouring places (n, i, j). Of each slab and group a product of gradients (rows: outputs) with windows (columns: channels
// and taps), as deep as a slab. TILED: a workgroup has 64 x 64 results; else 16 x 256, 4 columns an invocation.
// Twin: src/kernels/nn/convolution_backward_weight.rs. Snippets: product, grid.

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

// Four columns of the weights: the element of x under each in the window at (0, 0) of an item, above and left of x wrapping around.
struct Columns { channel: vec4u, row: vec4u, column: vec4u }

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let outputs = p.out / p.groups;
    let channels = p.c / p.groups;
    var height = 16u;
    var width = 256u;
    if TILED { height = 64u; width = 64u; }
    let across = (channels * K * K + width - 1u) / width;
    let down = (outputs + height - 1u) / height;
    let flat = flat_workgroup(workgroup);
    let slab = flat / (across * down * p.groups);
    if slab >= p.slabs { return; }
    let group = flat / (across * down) % p.groups;
    let first = group * outputs + flat / across % down * height;
    let left = flat % across * width;
    // The columns that this invocation reads; those beyond the last repeat it.
    var quad = lane;
    if TILED { quad = lane % 16u; }
    let weights = min(vec4u(left + quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(channels * K * K - 1u));
    let columns = Columns((group * channels + weights / (K * K)) * (p.h * p.w), weights / K % K - p.padding, weights % K - p.padding);
    let last = min((slab + 1u) * p.slab, p.n * p.y_h * p.y_w);
    var sums = Sums();
    if TILED {
        for (var place = slab * p.slab; place < last; place += 16u) {
            let k = lane / 16u;
            right_tile[lane] = pixels(columns, place + k, last);
            right_tile[lane + 64u] = pixels(columns, place + k + 4u, last);
            right_tile[lane + 128u] = pixels(columns, place + k + 8u, last);
            right_tile[lane + 192u] = pixels(columns, place + k + 12u, last);
            let l = lane % 16u * 16u + k;
            let at = min(place + lane % 16u, last - 1u);
            left_tile[l] = gradients(first + k * 4u, at);
            left_tile[l + 4u] = gradients(first + k * 4u + 16u, at);
            left_tile[l + 8u] = gradients(first + k * 4u + 32u, at);
            left_tile[l + 12u] = gradients(first + k * 4u + 48u, at);
            sums = tile(lane, sums);
        }
    } else {
        for (var place = slab * p.slab; place < last; place++) {
            let right = pixels(columns, place, last);
            sums = registers(sums, gradients(first, place), gradients(first + 4u, place), gradients(first + 8u, place), gradients(first + 12u, place), right);
        }
    }
    var at = Corner(first, (group + 1u) * outputs, left + lane * 4u, slab);
    if TILED { at = Corner(first + lane / 8u * 4u, at.end, left + lane % 8u * 4u, slab); }
    store_all(at, sums);
}

// Elements under four columns at a place: zero outside x, and from `last` on.
fn pixels(columns: Columns, place: u32, last: u32) -> vec4f {
    let row = columns.row + place / p.y_w % p.y_h * p.stride;
    let column = columns.column + place % p.y_w * p.stride;
    let inside = (row < vec4u(p.h)) & (column < vec4u(p.w)) & vec4<bool>(place < last);
    let item = place / (p.y_h * p.y_w) * p.c * (p.h * p.w);
    let i = (columns.channel + item + row * p.w + column) * vec4u(inside);
    return select(vec4f(0.0), vec4f(x[i.x], x[i.y], x[i.z], x[i.w]), inside);
}

// Gradients of four outputs at a place; those beyond the last output repeat it, and what becomes of them is dropped.
fn gradients(o: u32, place: u32) -> vec4f {
    let plane = p.y_h * p.y_w;
    let i = (place / plane * p.out + min(vec4u(o) + vec4u(0u, 1u, 2u, 3u), vec4u(p.out - 1u))) * plane + place % plane;
    return vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]);
}

fn store(at: Corner, v: vec4f) {
    let row = p.c / p.groups * K * K;
    if at.column >= row { return; }
    let i = (at.origin * p.out + at.row) * row + at.column;
    add(i, v.x, at.row < at.end);
    add(i + row, v.y, at.row + 1u < at.end);
    add(i + 2u * row, v.z, at.row + 2u < at.end);
    add(i + 3u * row, v.w, at.row + 3u < at.end);
}

fn add(i: u32, v: f32, exists: bool) {
    if !exists { return; }
    if p.slabs == 1u { dweight[i] += v; } else { dweight[i] = v; }
}
