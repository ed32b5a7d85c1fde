// multiply_sum: dfactor[n,c] += scale * sum over i of x[n,c,i] * dy[n,c,i]; or dfactor[n,i], over c; or
// dfactor[n,c,i], of one term
//
//   x        f32[n, c, plane]  read
//   dy       f32[n, c, plane]  read
//   dfactor  f32[n, c], [n, plane] or [n, c, plane]  update  every element added to once, by `over`
//
// One invocation per element of dfactor. Twin: src/kernels/nn/multiply_sum.rs. Snippets: grid.

struct MultiplySum {
    outer: u32, // elements of dfactor are [outer, inner], those of x [outer, terms, inner]
    terms: u32,
    inner: u32,
    scale: f32,
}

@group(0) @binding(0) var<uniform> p: MultiplySum;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dfactor: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = flat_invocation(id, 64u);
    if i >= p.outer * p.inner { return; }
    var at = i / p.inner * p.terms * p.inner + i % p.inner;
    var sum = 0.0;
    for (var k = 0u; k < p.terms; k++) {
        sum += x[at] * dy[at];
        at += p.inner;
    }
    dfactor[i] += p.scale * sum;
}
