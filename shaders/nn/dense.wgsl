// dense: y[n,o] = prelu_o(bias[o] + sum_i weight[o,i] * x[n,i])
//
//   x       f32[n, inputs]                read
//   weight  vec4f[inputs, quads]          read   output channels in groups of four, zero beyond `out`
//   bias    vec4f[quads]                  read
//   slope   vec4f[quads]                  read   all ones for a linear layer
//   y       f32[n, out]                   write  every element written once
//
// One invocation per 4 items, 4 outputs and quarter of the inputs: a workgroup computes 16 such tiles and
// adds their quarters at the end. Twin: src/kernels/nn/dense.rs.

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

// Sums of four items for each invocation.
var<workgroup> parts: array<vec4f, 256>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let tile = workgroup.x * 16u + lane % 16u;
    let quad = tile % p.quads;
    let item = tile / p.quads * 4u;
    // Items beyond the last repeat it; their results are dropped below.
    let rows = min(vec4u(item) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * p.inputs;
    var sums = mat4x4f();
    // Four inputs at a time, so that their loads overlap.
    for (var i = lane / 16u * 4u; i < p.inputs; i += 16u) {
        if i + 3u < p.inputs {
            let at = i * p.quads + quad;
            let w = mat4x4f(weight[at], weight[at + p.quads], weight[at + 2u * p.quads], weight[at + 3u * p.quads]);
            sums += w * mat4x4f(four(rows.x + i), four(rows.y + i), four(rows.z + i), four(rows.w + i));
        } else {
            for (var j = i; j < p.inputs; j++) {
                let w = weight[j * p.quads + quad];
                sums += mat4x4f(w * x[rows.x + j], w * x[rows.y + j], w * x[rows.z + j], w * x[rows.w + j]);
            }
        }
    }
    parts[lane] = sums[0];
    parts[lane + 64u] = sums[1];
    parts[lane + 128u] = sums[2];
    parts[lane + 192u] = sums[3];
    workgroupBarrier();
    // Each quarter of the invocations finishes one of the items.
    let k = lane / 16u;
    let at = k * 64u + lane % 16u;
    store(bias[quad] + parts[at] + parts[at + 16u] + parts[at + 32u] + parts[at + 48u], quad, item + k);
}

fn four(at: u32) -> vec4f {
    return vec4f(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
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
