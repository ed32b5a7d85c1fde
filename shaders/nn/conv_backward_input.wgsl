// conv_backward_input: dx[n,c,a,b] += sum_{o,u,v} dy[n,o,a-u,b-v] * weight[o,c,u,v], dy zero outside (spec 8)
//
//   dy       f32[n, out, y_h, y_w]       read
//   flipped  vec4f[groups, out, K, K, 4] read     `conv_flip` of the weights: 16 input channels a group
//   dx       f32[n, c, x_h, x_w]         update   every element added to once; x_h = y_h + K - 1
//
// One invocation per item, tile of 4 x 2 pixels and group of 16 input channels, as `conv`. Twin: src/kernels/nn/conv_backward_input.rs.

override K: u32;

struct ConvBackwardInput {
    n: u32,
    c: u32,
    out: u32,
    k: u32,
    y_h: u32,
    y_w: u32,
}

@group(0) @binding(0) var<uniform> p: ConvBackwardInput;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> flipped: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let x_h = p.y_h + K - 1u;
    let x_w = p.y_w + K - 1u;
    let columns = (x_w + 3u) / 4u;
    let tiles = columns * ((x_h + 1u) / 2u);
    let item = id.x / tiles;
    if item >= p.n { return; }
    let row = id.x % tiles / columns * 2u;
    let column = id.x % tiles % columns * 4u;
    let zero = mat4x4f();
    var s00 = zero; var s01 = zero; var s02 = zero; var s03 = zero;
    var s10 = zero; var s11 = zero; var s12 = zero; var s13 = zero;
    var at = id.y * p.out * K * K * 4u;
    for (var o = 0u; o < p.out; o++) {
        let plane = (item * p.out + o) * p.y_h * p.y_w;
        for (var u = 0u; u < K; u++) {
            // Before the first row or column the difference wraps, so one comparison sees both ends.
            let i0 = row + u - (K - 1u);
            let i1 = i0 + 1u;
            let row0 = plane + min(i0, p.y_h - 1u) * p.y_w;
            let row1 = plane + min(i1, p.y_h - 1u) * p.y_w;
            for (var v = 0u; v < K; v++) {
                let w = mat4x4f(flipped[at], flipped[at + 1u], flipped[at + 2u], flipped[at + 3u]);
                at += 4u;
                let j = vec4u(column + v - (K - 1u)) + vec4u(0u, 1u, 2u, 3u);
                let inside = j < vec4u(p.y_w);
                let k = min(j, vec4u(p.y_w - 1u));
                let d0 = select(vec4f(0.0), vec4f(dy[row0 + k.x], dy[row0 + k.y], dy[row0 + k.z], dy[row0 + k.w]), inside & vec4<bool>(i0 < p.y_h));
                let d1 = select(vec4f(0.0), vec4f(dy[row1 + k.x], dy[row1 + k.y], dy[row1 + k.z], dy[row1 + k.w]), inside & vec4<bool>(i1 < p.y_h));
                s00 += w * d0.x; s01 += w * d0.y; s02 += w * d0.z; s03 += w * d0.w;
                s10 += w * d1.x; s11 += w * d1.y; s12 += w * d1.z; s13 += w * d1.w;
            }
        }
    }
    let x_plane = x_h * x_w;
    let to = (item * p.c + id.y * 16u) * x_plane + row * x_w + column;
    let width = x_w - column;
    add(s00, id.y, to, x_plane);
    if width > 1u { add(s01, id.y, to + 1u, x_plane); }
    if width > 2u { add(s02, id.y, to + 2u, x_plane); }
    if width > 3u { add(s03, id.y, to + 3u, x_plane); }
    if row + 1u >= x_h { return; }
    add(s10, id.y, to + x_w, x_plane);
    if width > 1u { add(s11, id.y, to + x_w + 1u, x_plane); }
    if width > 2u { add(s12, id.y, to + x_w + 2u, x_plane); }
    if width > 3u { add(s13, id.y, to + x_w + 3u, x_plane); }
}

fn add(sums: mat4x4f, group: u32, at: u32, x_plane: u32) {
    add4(sums[0], group * 16u, at, x_plane);
    add4(sums[1], group * 16u + 4u, at + 4u * x_plane, x_plane);
    add4(sums[2], group * 16u + 8u, at + 8u * x_plane, x_plane);
    add4(sums[3], group * 16u + 12u, at + 12u * x_plane, x_plane);
}

fn add4(sums: vec4f, channel: u32, at: u32, x_plane: u32) {
    if channel < p.c { dx[at] += sums.x; }
    if channel + 1u < p.c { dx[at + x_plane] += sums.y; }
    if channel + 2u < p.c { dx[at + 2u * x_plane] += sums.z; }
    if channel + 3u < p.c { dx[at + 3u * x_plane] += sums.w; }
}
