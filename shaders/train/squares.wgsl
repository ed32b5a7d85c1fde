// squares: sum of the squares of a gradient, into place `index` of a list
//
//   gradient  f32[len]    read
//   norms     f32[index]  update   one element is written
//
// One workgroup: each invocation sums every 256th element, then the sums are added pairwise. Twin: src/kernels/train/squares.rs.

struct Squares {
    len: u32,
    index: u32,
}

@group(0) @binding(0) var<uniform> p: Squares;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> norms: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sum = 0.0;
    for (var i = lane; i < p.len; i += 256u) { sum += gradient[i] * gradient[i]; }
    sums[lane] = sum;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u { norms[p.index] = sums[0]; }
}
