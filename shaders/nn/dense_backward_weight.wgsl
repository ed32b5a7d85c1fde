// dense_backward_weight: dweight[o,i] += sum_n x[n,i] * dy[n,o]; dbias[o] += sum_n dy[n,o] (spec 8)
//
//   x        f32[n, inputs]        read
//   dy       f32[n, out]           read
//   dweight  vec4f[inputs, quads]  update   as `dense` reads weights; every element added to once, zero beyond `out`
//   dbias    vec4f[quads]          update   likewise
//
// One invocation per 4 inputs and 4 outputs, over all items: a batch is far shorter than the longest loop that drivers take.
// Twin: src/kernels/nn/dense_backward_weight.rs.

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let quad = id.x % p.quads;
    let first = id.x / p.quads * 4u;
    if first >= p.inputs { return; }
    let o = vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u);
    let within = o < vec4u(p.out);
    let columns = min(o, vec4u(p.out - 1u));
    let inputs = min(vec4u(first) + vec4u(0u, 1u, 2u, 3u), vec4u(p.inputs - 1u));
    var bias = vec4f(0.0);
    var s0 = bias; var s1 = bias; var s2 = bias; var s3 = bias;
    for (var n = 0u; n < p.n; n++) {
        let at = vec4u(n * p.out) + columns;
        let d = select(vec4f(0.0), vec4f(dy[at.x], dy[at.y], dy[at.z], dy[at.w]), within);
        let row = vec4u(n * p.inputs) + inputs;
        bias += d;
        s0 += d * x[row.x]; s1 += d * x[row.y]; s2 += d * x[row.z]; s3 += d * x[row.w];
    }
    let to = first * p.quads + quad;
    let left = p.inputs - first;
    dweight[to] += s0;
    if left > 1u { dweight[to + p.quads] += s1; }
    if left > 2u { dweight[to + 2u * p.quads] += s2; }
    if left > 3u { dweight[to + 3u * p.quads] += s3; }
    if first == 0u { dbias[quad] += bias; }
}
