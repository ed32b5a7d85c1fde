// convolution_backward_input: dx[n,c,a,b] += sum_{o,u,v} weight[o,c,u,v] * dy[n, o, (a + padding - u) / stride, (b + padding - v) / stride],
// where stride divides both and dy has them
//
//   dy      f32[n, out, y_h, y_w]           read   o counts the outputs of the group of c
//   weight  f32[out, c / groups, K, K]      read
//   dx      f32[n, c, h, w]                 update every element added to once
//
// Elements whose row and column leave the same remainders by the stride are a class: they meet the same taps. Of each class a product of weights
// (rows: channels of a group) with gradients (columns: places (n, i, j) of the class end to end), as deep as outputs times taps.
// TILED: a workgroup has 64 x 64 results; else 16 x 256, 4 places an invocation.
// Twin: src/kernels/nn/convolution_backward_input.rs. Snippets: product, grid.

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

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let channels = p.c / p.groups;
    let outputs = p.out / p.groups;
    var height = 16u;
    var width = 256u;
    if TILED { height = 64u; width = 64u; }
    let down = (channels + height - 1u) / height;
    let flat = flat_workgroup(workgroup);
    let group = flat % p.groups;
    let first = group * channels + flat / p.groups % down * height;
    // Tiles of places lie class after class.
    var tile_of_class = flat / p.groups / down;
    var class_of = 0u;
    while class_of < p.stride * p.stride && tile_of_class >= tiles(class_of, width) {
        tile_of_class -= tiles(class_of, width);
        class_of++;
    }
    if class_of >= p.stride * p.stride { return; }
    let grid = extent(class_of);
    let left = tile_of_class * width;
    // The places whose gradients this invocation reads; those beyond the last repeat it.
    var quad = lane;
    if TILED { quad = lane % 16u; }
    let place = min(vec4u(left + quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n * grid.x * grid.y - 1u));
    let top = place / grid.y % grid.x * p.stride + class_of / p.stride + p.padding;
    let side = place % grid.y * p.stride + class_of % p.stride + p.padding;
    let item = (place / (grid.x * grid.y) * p.out + group * outputs) * (p.y_h * p.y_w);
    var sums = Sums();
    for (var u = (class_of / p.stride + p.padding) % p.stride; u < K; u += p.stride) {
        for (var v = (class_of % p.stride + p.padding) % p.stride; v < K; v += p.stride) {
            // Above and left of the gradient they wrap around, and so lie outside too.
            let row = (top - u) / p.stride;
            let column = (side - v) / p.stride;
            let inside = (row < vec4u(p.y_h)) & (column < vec4u(p.y_w));
            let at = (item + row * p.y_w + column) * vec4u(inside);
            if TILED {
                for (var o = 0u; o < outputs; o += 16u) {
                    let k = lane / 16u;
                    right_tile[lane] = gradients(at, o + k, inside);
                    right_tile[lane + 64u] = gradients(at, o + k + 4u, inside);
                    right_tile[lane + 128u] = gradients(at, o + k + 8u, inside);
                    right_tile[lane + 192u] = gradients(at, o + k + 12u, inside);
                    let l = lane % 16u * 16u + k;
                    let from = group * outputs + min(o + lane % 16u, outputs - 1u);
                    left_tile[l] = weights(first + k * 4u, from, u * K + v);
                    left_tile[l + 4u] = weights(first + k * 4u + 16u, from, u * K + v);
                    left_tile[l + 8u] = weights(first + k * 4u + 32u, from, u * K + v);
                    left_tile[l + 12u] = weights(first + k * 4u + 48u, from, u * K + v);
                    sums = tile(lane, sums);
                }
            } else {
                for (var o = 0u; o < outputs; o++) {
                    let from = group * outputs + o;
                    let right = gradients(at, o, inside);
                    sums = registers(sums, weights(first, from, u * K + v), weights(first + 4u, from, u * K + v), weights(first + 8u, from, u * K + v),
                        weights(first + 12u, from, u * K + v), right);
                }
            }
        }
    }
    var at = Corner(first, (group + 1u) * channels, left + lane * 4u, class_of);
    if TILED { at = Corner(first + lane / 8u * 4u, at.end, left + lane % 8u * 4u, class_of); }
    store_all(at, sums);
}

// Rows and columns of dx in a class.
fn extent(class_of: u32) -> vec2u {
    return (vec2u(p.h, p.w) + p.stride - 1u - min(vec2u(class_of / p.stride, class_of % p.stride), vec2u(p.h, p.w))) / p.stride;
}

fn tiles(class_of: u32, width: u32) -> u32 { let grid = extent(class_of); return (p.n * grid.x * grid.y + width - 1u) / width; }

// Elements of output `o` of the group: zero beyond the last output, and outside the gradient.
fn gradients(at: vec4u, o: u32, inside: vec4<bool>) -> vec4f {
    let i = at + min(o, p.out / p.groups - 1u) * (p.y_h * p.y_w) * vec4u(inside);
    return select(vec4f(0.0), vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]), inside & vec4<bool>(o < p.out / p.groups));
}

// Weights of output `o` for four channels; those beyond the last channel repeat it, and what becomes of them is dropped.
fn weights(c: u32, o: u32, tap: u32) -> vec4f {
    let channels = p.c / p.groups;
    let last = o / (p.out / p.groups) * channels;
    let i = (o * channels + min(vec4u(c - last) + vec4u(0u, 1u, 2u, 3u), vec4u(channels - 1u))) * (K * K) + tap;
    return vec4f(weight[i.x], weight[i.y], weight[i.z], weight[i.w]);
}

fn store(at: Corner, v: vec4f) {
    let grid = extent(at.origin);
    if at.column >= p.n * grid.x * grid.y { return; }
    let row = at.column / grid.y % grid.x * p.stride + at.origin / p.stride;
    let column = at.column % grid.y * p.stride + at.origin % p.stride;
    let plane = p.h * p.w;
    let i = (at.column / (grid.x * grid.y) * p.c + at.row) * plane + row * p.w + column;
    if at.row < at.end { dx[i] += v.x; }
    if at.row + 1u < at.end { dx[i + plane] += v.y; }
    if at.row + 2u < at.end { dx[i + 2u * plane] += v.z; }
    if at.row + 3u < at.end { dx[i + 3u * plane] += v.w; }
}
