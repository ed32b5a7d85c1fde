// dense: y[n,o] = prelu_o(bias[o] + sum_i weight[o,i] * x[n,i])
//
//   x       f32[n, inputs]                read
//   weight  vec4f[inputs, quads]          read   output channels four by four, zero beyond `out`
//   bias    vec4f[quads]                  read
//   slope   vec4f[quads]                  read   all ones for a linear layer
//   y       f32[n, out]                   write  every element written once
//
// One invocation per 4 items and 4 outputs. Twin: src/kernels/nn/dense.rs.

struct Dense {
    n: u32,
    inputs: u32,
    out: u32,
    quads: u32, // ceil(out / 4)
}

@group(0) @binding(0) var<uniform> p: Dense;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read> bias: array<vec4f>;
@group(0) @binding(4) var<storage, read> slope: array<vec4f>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let quad = id.x % p.quads;
    let item = id.x / p.quads * 4u;
    if item >= p.n { return; }
    // Items beyond the last repeat it; their results are dropped below.
    let rows = min(vec4u(item) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * p.inputs;
    var s0 = bias[quad]; var s1 = s0; var s2 = s0; var s3 = s0;
    for (var i = 0u; i < p.inputs; i++) {
        let w = weight[i * p.quads + quad];
        s0 += w * x[rows.x + i]; s1 += w * x[rows.y + i]; s2 += w * x[rows.z + i]; s3 += w * x[rows.w + i];
    }
    store(s0, quad, item);
    store(s1, quad, item + 1u);
    store(s2, quad, item + 2u);
    store(s3, quad, item + 3u);
}

fn store(sums: vec4f, quad: u32, item: u32) {
    if item >= p.n { return; }
    let v = select(slope[quad] * sums, sums, sums > vec4f(0.0));
    let at = item * p.out + quad * 4u;
    let left = p.out - quad * 4u;
    y[at] = v.x;
    if left > 1u { y[at + 1u] = v.y; }
    if left > 2u { y[at + 2u] = v.z; }
    if left > 3u { y[at + 3u] = v.w; }
}
