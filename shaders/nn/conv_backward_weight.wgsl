// conv_backward_weight: dweight[s,o,c,u,v] = sum over slab s of dy[n,o,i,j] * x[n,c,i+u,j+v];
// dbias[s,o] = sum over slab s of dy (spec 8)
//
//   x        f32[n, c, x_h, x_w]               read
//   dy       f32[n, out, y_h, y_w]             read
//   dweight  vec4f[slabs, groups, c, K, K, 4]  write   partial sums for `reduce`, packed as for `conv`
//   dbias    vec4f[slabs, groups, 4]           write   likewise
//
// A slab is `lines` rows of dy, counted over all items in sequence. One invocation per slab, group of 16
// output channels, input channel and block of at most 3 x 3 taps, which stay in registers.
// Twin: src/kernels/nn/conv_backward_weight.rs.

override K: u32;

struct ConvBackwardWeight {
    n: u32,
    c: u32,
    out: u32,
    k: u32, // 1, 2, 3 or 5
    y_h: u32,
    y_w: u32,
    slabs: u32,
    lines: u32,
}

@group(0) @binding(0) var<uniform> p: ConvBackwardWeight;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dbias: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let groups = (p.out + 15u) / 16u;
    let blocks = (K + 2u) / 3u;
    let channel = id.x / (blocks * blocks);
    let slab = channel / (groups * p.c);
    if slab >= p.slabs { return; }
    let group = channel / p.c % groups;
    let c = channel % p.c;
    // First tap of the block, and the offsets of the next two rows; those past the kernel repeat the last and
    // are not stored.
    let u = id.x / blocks % blocks * 3u;
    let v = id.x % blocks * 3u;
    let u1 = min(u + 1u, K - 1u) - u;
    let u2 = min(u + 2u, K - 1u) - u;
    let x_w = p.y_w + K - 1u;
    // Last position at which the block's third column lies in the row.
    let last = p.y_w + K - 4u - v;
    var bias = mat4x4f();
    var s00 = bias; var s01 = bias; var s02 = bias;
    var s10 = bias; var s11 = bias; var s12 = bias;
    var s20 = bias; var s21 = bias; var s22 = bias;
    for (var line = slab * p.lines; line < min((slab + 1u) * p.lines, p.n * p.y_h); line++) {
        let item = line / p.y_h;
        let row = line % p.y_h;
        let x0 = ((item * p.c + c) * (p.y_h + K - 1u) + row + u) * x_w + v;
        let x1 = x0 + u1 * x_w;
        let x2 = x0 + u2 * x_w;
        let first = item * p.out * p.y_h * p.y_w + row * p.y_w;
        // Three adjacent elements of each row under the taps, which move along the row: each is read once.
        var r0 = vec3f(x[x0], 0.0, 0.0);
        var r1 = r0;
        var r2 = r0;
        if K > 1u { r0.y = x[x0 + 1u]; r1 = vec3f(x[x1], x[x1 + 1u], 0.0); }
        if K > 2u { r2 = vec3f(x[x2], x[x2 + 1u], 0.0); }
        for (var j = 0u; j < p.y_w; j++) {
            let d = mat4x4f(quad(first + j, group * 16u), quad(first + j, group * 16u + 4u), quad(first + j, group * 16u + 8u), quad(first + j, group * 16u + 12u));
            if K > 2u {
                let ahead = min(j, last) + 2u;
                r0.z = x[x0 + ahead]; r1.z = x[x1 + ahead]; r2.z = x[x2 + ahead];
            }
            bias += d;
            s00 += d * r0.x;
            if K > 1u { s01 += d * r0.y; s10 += d * r1.x; s11 += d * r1.y; }
            if K > 2u {
                s02 += d * r0.z; s12 += d * r1.z;
                s20 += d * r2.x; s21 += d * r2.y; s22 += d * r2.z;
                r0 = r0.yzz; r1 = r1.yzz; r2 = r2.yzz;
            } else if K > 1u {
                let ahead = min(j + 2u, x_w - 1u);
                r0 = vec3f(r0.y, x[x0 + ahead], 0.0); r1 = vec3f(r1.y, x[x1 + ahead], 0.0);
            } else {
                r0.x = x[x0 + min(j + 1u, x_w - 1u)];
            }
        }
    }
    let row0 = (((slab * groups + group) * p.c + c) * K * K + u * K + v) * 4u;
    let row1 = row0 + K * 4u;
    let row2 = row1 + K * 4u;
    store(s00, row0, true); store(s01, row0 + 4u, v + 1u < K); store(s02, row0 + 8u, v + 2u < K);
    store(s10, row1, u + 1u < K); store(s11, row1 + 4u, max(u, v) + 1u < K); store(s12, row1 + 8u, max(u + 1u, v + 2u) < K);
    store(s20, row2, u + 2u < K); store(s21, row2 + 4u, max(u + 2u, v + 1u) < K); store(s22, row2 + 8u, max(u, v) + 2u < K);
    if c + u + v > 0u { return; }
    let at = (slab * groups + group) * 4u;
    dbias[at] = bias[0];
    dbias[at + 1u] = bias[1];
    dbias[at + 2u] = bias[2];
    dbias[at + 3u] = bias[3];
}

// dy of four output channels at one place, zero beyond `out`.
fn quad(at: u32, channel: u32) -> vec4f {
    let o = vec4u(channel) + vec4u(0u, 1u, 2u, 3u);
    let place = at + min(o, vec4u(p.out - 1u)) * (p.y_h * p.y_w);
    return select(vec4f(0.0), vec4f(dy[place.x], dy[place.y], dy[place.z], dy[place.w]), o < vec4u(p.out));
}

fn store(sums: mat4x4f, at: u32, exists: bool) {
    if !exists { return; }
    dweight[at] = sums[0];
    dweight[at + 1u] = sums[1];
    dweight[at + 2u] = sums[2];
    dweight[at + 3u] = sums[3];
}
