// dense_backward_input: dx[n,i] += sum_o weight[o,i] * dy[n,o] (spec 8)
//
//   dy      f32[n, out]           read
//   weight  vec4f[inputs, quads]  read     as `dense` reads them, zero beyond `out`
//   dx      f32[n, inputs]        update   every element added to once
//
// One invocation per 4 items and input. Twin: src/kernels/nn/dense_backward_input.rs.

struct DenseBackwardInput {
    n: u32,
    inputs: u32,
    out: u32,
    quads: u32, // ceil(out / 4)
}

@group(0) @binding(0) var<uniform> p: DenseBackwardInput;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = id.x % p.inputs;
    let item = id.x / p.inputs * 4u;
    if item >= p.n { return; }
    // Items beyond the last repeat it; their results are dropped below.
    let rows = min(vec4u(item) + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * p.out;
    var sums = vec4f(0.0);
    for (var quad = 0u; quad < p.quads; quad++) {
        let w = weight[i * p.quads + quad];
        sums += vec4f(dot(w, four(rows.x, quad)), dot(w, four(rows.y, quad)), dot(w, four(rows.z, quad)), dot(w, four(rows.w, quad)));
    }
    let to = item * p.inputs + i;
    let left = p.n - item;
    dx[to] += sums.x;
    if left > 1u { dx[to + p.inputs] += sums.y; }
    if left > 2u { dx[to + 2u * p.inputs] += sums.z; }
    if left > 3u { dx[to + 3u * p.inputs] += sums.w; }
}

// Returns four gradients of a row; those beyond `out` repeat the last and are multiplied by a weight of zero.
fn four(row: u32, quad: u32) -> vec4f {
    let o = row + min(vec4u(quad * 4u) + vec4u(0u, 1u, 2u, 3u), vec4u(p.out - 1u));
    return vec4f(dy[o.x], dy[o.y], dy[o.z], dy[o.w]);
}
