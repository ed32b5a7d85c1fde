// convolution_backward_input: dx[n,c,a,b] += sum_{o,u,v} weight[o,c,u,v] * dy[n, o, (a + padding - u) /
// stride, (b + padding - v) / stride], where stride divides both and dy has them
//
//   dy      f32[n, out, y_h, y_w]           read   o counts the outputs of the group of c
//   weight  f32[out, c / groups, K, K]      read
//   dx      f32[n, c, h, w]                 update every element added to once
//
// Elements whose row and column leave the same remainders by the stride are a class: they meet the same taps.
// Of each class a product of weights (rows: channels of a group) with gradients (columns: places (n, i, j) of
// the class end to end), as deep as outputs times taps. TILED: a workgroup has 64 x 64 results; else 16 x
// 256, 4 places an invocation. Twin: src/kernels/nn/convolution_backward_input.rs. Snippets: product, grid.

override K: u32;
override TILED: bool;

struct ConvolutionBackwardInput {
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
    tiled: u32, // TILED
}

@group(0) @binding(0) var<uniform> p: ConvolutionBackwardInput;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Of the workgroup; and of the invocation's four places: their elements under the tap in the group's first
// output.
var<private> group: u32;
var<private> class_of: u32;
var<private> at: vec4u;
var<private> inside: vec4<bool>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let channels = p.c / p.groups;
    let outputs = p.out / p.groups;
    let size = tile_size();
    let down = (channels + size.x - 1u) / size.x;
    let flat = flat_workgroup(workgroup);
    group = flat % p.groups;
    let first = flat / p.groups % down * size.x;
    // Tiles of places lie class after class.
    var place_tile = flat / p.groups / down;
    var tiles = 0u;
    for (class_of = 0u; class_of < p.stride * p.stride; class_of++) {
        tiles = (places() + size.y - 1u) / size.y;
        if place_tile < tiles { break; }
        place_tile -= tiles;
    }
    if class_of >= p.stride * p.stride { return; }
    let left = place_tile * size.y;
    let grid = extent();
    let place = columns_read(lane, left, places());
    let top = place / grid.y % grid.x * p.stride + class_of / p.stride + p.padding;
    let side = place % grid.y * p.stride + class_of % p.stride + p.padding;
    let item = (place / (grid.x * grid.y) * p.out + group * outputs) * (p.y_h * p.y_w);
    var sums = Sums();
    for (var u = (class_of / p.stride + p.padding) % p.stride; u < K; u += p.stride) {
        for (var v = (class_of % p.stride + p.padding) % p.stride; v < K; v += p.stride) {
            // Above and left of the gradient they wrap around, and so lie outside too.
            let row = (top - u) / p.stride;
            let column = (side - v) / p.stride;
            inside = (row < vec4u(p.y_h)) & (column < vec4u(p.y_w));
            at = (item + row * p.y_w + column) * vec4u(inside);
            sums = multiply(lane, first, 0u, outputs, u * K + v, sums);
        }
    }
    store_all(lane, first, left, sums);
}

// Rows and columns of dx in the class.
fn extent() -> vec2u {
    let sides = vec2u(p.h, p.w);
    return (sides + p.stride - 1u - min(vec2u(class_of / p.stride, class_of % p.stride), sides)) / p.stride;
}

fn places() -> u32 { let grid = extent(); return p.n * grid.x * grid.y; }

// Elements of output `o` of the group: zero outside the gradient, and beyond the last output.
fn four_columns(o: u32) -> vec4f {
    let outputs = p.out / p.groups;
    let i = at + min(o, outputs - 1u) * (p.y_h * p.y_w) * vec4u(inside);
    return select(vec4f(0.0), vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]), inside & vec4<bool>(o < outputs));
}

// Weights for four channels of the group; those beyond the last repeat it, and what becomes of them is
// dropped.
fn four_rows(c: u32, o: u32, tap: u32) -> vec4f {
    let channels = p.c / p.groups;
    let outputs = p.out / p.groups;
    let column = min(vec4u(c) + vec4u(0u, 1u, 2u, 3u), vec4u(channels - 1u));
    let i = ((group * outputs + min(o, outputs - 1u)) * channels + column) * (K * K) + tap;
    return vec4f(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
}

fn store(c: u32, place: u32, v: vec4f) {
    let grid = extent();
    let channels = p.c / p.groups;
    if place >= places() { return; }
    let row = place / grid.y % grid.x * p.stride + class_of / p.stride;
    let column = place % grid.y * p.stride + class_of % p.stride;
    let plane = p.h * p.w;
    let i = (place / (grid.x * grid.y) * p.c + group * channels + c) * plane + row * p.w + column;
    if c < channels { dx[i] += v.x; }
    if c + 1u < channels { dx[i + plane] += v.y; }
    if c + 2u < channels { dx[i + 2u * plane] += v.z; }
    if c + 3u < channels { dx[i + 3u * plane] += v.w; }
}
