// dense_backward_weight: dweight[o,i] += sum_n x[n,i] * dy[n,o]; dbias[o] += sum_n dy[n,o] (spec 8)
//
//   x        f32[n, inputs]        read
//   dy       f32[n, out]           read
//   dweight  vec4f[inputs, quads]  update   as in `dense`, zero beyond `out`; each element added to once
//   dbias    vec4f[quads]          update   likewise
//
// One invocation per 4 inputs, 4 outputs and quarter of the items: a workgroup computes 16 such tiles and
// adds their quarters at the end. Twin: src/kernels/nn/dense_backward_weight.rs.

struct DenseBackwardWeight {
    n: u32,
    inputs: u32,
    out: u32,
    quads: u32, // ceil(out / 4)
}

@group(0) @binding(0) var<uniform> p: DenseBackwardWeight;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dweight: array<vec4f>;
@group(0) @binding(4) var<storage, read_write> dbias: array<vec4f>;

// Sums of four inputs for each invocation, and of the bias.
var<workgroup> parts: array<vec4f, 320>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let tile = workgroup.x * 16u + lane % 16u;
    let quad = tile % p.quads;
    let first = tile / p.quads * 4u;
    let o = vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u);
    let within = o < vec4u(p.out);
    let columns = min(o, vec4u(p.out - 1u));
    let inputs = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(p.inputs - 1u));
    var bias = vec4f(0.0);
    var s0 = bias; var s1 = bias; var s2 = bias; var s3 = bias;
    // Four items at a time, so that their loads overlap; those beyond the last repeat it, with a gradient of
    // zero.
    for (var n = lane / 16u * 4u; n < p.n; n += 16u) {
        let items = min(vec4u(n) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u));
        let there = vec4u(n) + vec4u(0u, 1u, 2u, 3u) < vec4u(p.n);
        let d0 = gradient(items.x, columns, within & vec4<bool>(there.x));
        let d1 = gradient(items.y, columns, within & vec4<bool>(there.y));
        let d2 = gradient(items.z, columns, within & vec4<bool>(there.z));
        let d3 = gradient(items.w, columns, within & vec4<bool>(there.w));
        let x0 = activations(items.x, inputs); let x1 = activations(items.y, inputs);
        let x2 = activations(items.z, inputs); let x3 = activations(items.w, inputs);
        bias = bias + d0 + d1 + d2 + d3;
        s0 = s0 + d0 * x0.x + d1 * x1.x + d2 * x2.x + d3 * x3.x;
        s1 = s1 + d0 * x0.y + d1 * x1.y + d2 * x2.y + d3 * x3.y;
        s2 = s2 + d0 * x0.z + d1 * x1.z + d2 * x2.z + d3 * x3.z;
        s3 = s3 + d0 * x0.w + d1 * x1.w + d2 * x2.w + d3 * x3.w;
    }
    parts[lane] = s0;
    parts[lane + 64u] = s1;
    parts[lane + 128u] = s2;
    parts[lane + 192u] = s3;
    parts[lane + 256u] = bias;
    workgroupBarrier();
    // Each quarter of the invocations finishes one of the inputs.
    let k = lane / 16u;
    if first + k < p.inputs { dweight[(first + k) * p.quads + quad] += whole(k * 64u + lane % 16u); }
    if first + k == 0u { dbias[quad] += whole(256u + lane % 16u); }
}

// Returns the sum of the quarters.
fn whole(at: u32) -> vec4f {
    return parts[at] + parts[at + 16u] + parts[at + 32u] + parts[at + 48u];
}

fn gradient(item: u32, columns: vec4u, within: vec4<bool>) -> vec4f {
    let at = vec4u(item * p.out) + columns;
    return select(vec4f(0.0), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), within);
}

fn activations(item: u32, inputs: vec4u) -> vec4f {
    let at = vec4u(item * p.inputs) + inputs;
    return vec4f(x[at.x], x[at.y], x[at.z], x[at.w]);
}
