// conv_backward_input: dx[n,c,a,b] = sum_{o,u,v} dy[n,o,a-u,b-v] * weight[o,c,u,v], dy zero outside (spec 8)
//
//   dy       f32[n, out, y_h, y_w]       read
//   weight   vec4f[groups, out, K, K, 4] read     by `conv_flip`: 16 input channels a group
//   dx       f32[n, c, x_h, x_w]         write    every element written once; x_h = y_h + K - 1
//
// One invocation per item, tile of 4 x 2 pixels and group of 16 input channels, as `conv`. Twin: src/kernels/nn/conv_backward_input.rs.
// Snippets: tile.

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
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

// Those of row `i` from column `j` on that the tile's inputs went to; zero outside. Before the first row or column a difference wraps, so one
// comparison sees both ends.
fn line(plane: u32, i: u32, j: u32) -> Line {
    let at = plane + min(i, p.y_h - 1u) * p.y_w;
    let row = i < p.y_h;
    let columns = vec4u(j) + vec4u(0u, 1u, 2u, 3u);
    let k = min(columns, vec4u(p.y_w - 1u));
    let d = select(vec4f(0.0), vec4f(dy[at + k.x], dy[at + k.y], dy[at + k.z], dy[at + k.w]), (columns < vec4u(p.y_w)) & vec4<bool>(row));
    var l = Line(d.x, d.y, d.z, d.w, 0.0, 0.0);
    if K > 1u { l.e = select(0.0, dy[at + min(j + 4u, p.y_w - 1u)], row && j + 4u < p.y_w); }
    if K > 2u { l.f = select(0.0, dy[at + min(j + 5u, p.y_w - 1u)], row && j + 5u < p.y_w); }
    return l;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) workgroup: vec3u) {
    let x_h = p.y_h + K - 1u;
    let x_w = p.y_w + K - 1u;
    let columns = (x_w + 3u) / 4u;
    let tiles = columns * ((x_h + 1u) / 2u);
    let item = id.x / tiles;
    if item >= p.n { return; }
    // Of the workgroup, so that a compiler sees that all invocations read the same weights.
    let group = workgroup.y;
    let row = id.x % tiles / columns * 2u;
    let column = id.x % tiles % columns * 4u;
    let i = row - (K - 1u);
    let j = column - (K - 1u);
    let x_plane = x_h * x_w;
    let channel = (item * p.c + group * 16u) * x_plane;
    var upper = Sums(mat4x4f(), mat4x4f(), mat4x4f(), mat4x4f());
    var lower = upper;
    var at = group * p.out * K * K * 4u;
    var plane = item * p.out * p.y_h * p.y_w;
    for (var o = 0u; o < p.out; o++) {
        if K > 3u {
            for (var u = 0u; u < K; u++) {
                for (var v = 0u; v < K; v++) {
                    let l0 = line(plane, i + u, j + v);
                    let l1 = line(plane, i + u + 1u, j + v);
                    upper = tap(at, l0.a, l0.b, l0.c, l0.d, upper);
                    lower = tap(at, l1.a, l1.b, l1.c, l1.d, lower);
                    at += 4u;
                }
            }
        } else {
            // Every gradient that the tile needs is read once.
            let l0 = line(plane, i, j);
            let l1 = line(plane, i + 1u, j);
            upper = taps(at, l0, upper);
            lower = taps(at, l1, lower);
            if K > 1u {
                let l2 = line(plane, i + 2u, j);
                upper = taps(at + 4u * K, l1, upper);
                lower = taps(at + 4u * K, l2, lower);
                if K > 2u {
                    let l3 = line(plane, i + 3u, j);
                    upper = taps(at + 8u * K, l2, upper);
                    lower = taps(at + 8u * K, l3, lower);
                }
            }
            at += 4u * K * K;
        }
        plane += p.y_h * p.y_w;
    }
    let to = channel + row * x_w + column;
    store_line(upper, group, to, x_w - column, x_plane);
    if row + 1u < x_h { store_line(lower, group, to + x_w, x_w - column, x_plane); }
}

fn store_line(sums: Sums, group: u32, at: u32, width: u32, x_plane: u32) {
    store(sums.a, group, at, x_plane);
    if width > 1u { store(sums.b, group, at + 1u, x_plane); }
    if width > 2u { store(sums.c, group, at + 2u, x_plane); }
    if width > 3u { store(sums.d, group, at + 3u, x_plane); }
}

fn store(sums: mat4x4f, group: u32, at: u32, x_plane: u32) {
    store4(sums[0], group * 16u, at, x_plane);
    store4(sums[1], group * 16u + 4u, at + 4u * x_plane, x_plane);
    store4(sums[2], group * 16u + 8u, at + 8u * x_plane, x_plane);
    store4(sums[3], group * 16u + 12u, at + 12u * x_plane, x_plane);
}

fn store4(sums: vec4f, channel: u32, at: u32, x_plane: u32) {
    if channel < p.c { dx[at] = sums.x; }
    if channel + 1u < p.c { dx[at + x_plane] = sums.y; }
    if channel + 2u < p.c { dx[at + 2u * x_plane] = sums.z; }
    if channel + 3u < p.c { dx[at + 3u * x_plane] = sums.w; }
}
