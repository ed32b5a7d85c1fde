// conv_backward_weight: dweight[s,o,c,u,v] = sum over slab s of dy[n,o,i,j] * x[n,c,i+u,j+v]; dbias[s,o] = sum over slab s of dy (spec 8)
//
//   x        f32[n, c, x_h, x_w]               read
//   dy       f32[n, out, y_h, y_w]             read
//   dweight  vec4f[slabs, groups, c, K, K, 4]  write   partial sums, packed as `conv` packs weights, for `reduce`
//   dbias    vec4f[slabs, groups, 4]           write   likewise
//
// A slab is `lines` rows of dy, rows of all items end to end. One invocation per slab, group of 16 output channels and input channel:
// all taps of it stay in registers. Twin: src/kernels/nn/conv_backward_weight.rs.

override K: u32;

struct ConvBackwardWeight {
    n: u32,
    c: u32,
    out: u32,
    k: u32, // 1, 2 or 3
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
    let slab = id.x / (groups * p.c);
    if slab >= p.slabs { return; }
    let group = id.x / p.c % groups;
    let c = id.x % p.c;
    let x_w = p.y_w + K - 1u;
    var bias = mat4x4f();
    var s00 = bias; var s01 = bias; var s02 = bias;
    var s10 = bias; var s11 = bias; var s12 = bias;
    var s20 = bias; var s21 = bias; var s22 = bias;
    for (var line = slab * p.lines; line < min((slab + 1u) * p.lines, p.n * p.y_h); line++) {
        let item = line / p.y_h;
        let row = line % p.y_h;
        let x0 = ((item * p.c + c) * (p.y_h + K - 1u) + row) * x_w;
        let x1 = x0 + x_w;
        let x2 = x1 + x_w;
        let first = item * p.out * p.y_h * p.y_w + row * p.y_w;
        for (var j = 0u; j < p.y_w; j++) {
            let d = mat4x4f(quad(first + j, group * 16u), quad(first + j, group * 16u + 4u), quad(first + j, group * 16u + 8u), quad(first + j, group * 16u + 12u));
            bias += d;
            s00 += d * x[x0 + j];
            if K > 1u { s01 += d * x[x0 + j + 1u]; s10 += d * x[x1 + j]; s11 += d * x[x1 + j + 1u]; }
            if K > 2u {
                s02 += d * x[x0 + j + 2u]; s12 += d * x[x1 + j + 2u];
                s20 += d * x[x2 + j]; s21 += d * x[x2 + j + 1u]; s22 += d * x[x2 + j + 2u];
            }
        }
    }
    let to = ((slab * groups + group) * p.c + c) * K * K * 4u;
    store(s00, to);
    if K > 1u { store(s01, to + 4u); store(s10, to + K * 4u); store(s11, to + K * 4u + 4u); }
    if K > 2u { store(s02, to + 8u); store(s12, to + 20u); store(s20, to + 24u); store(s21, to + 28u); store(s22, to + 32u); }
    if c > 0u { return; }
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

fn store(sums: mat4x4f, at: u32) {
    dweight[at] = sums[0];
    dweight[at + 1u] = sums[1];
    dweight[at + 2u] = sums[2];
    dweight[at + 3u] = sums[3];
}
