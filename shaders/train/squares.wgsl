// squares: sum of the squares of a gradient, in 32 shares, into row `index` of a list
//
//   gradient  f32[len]        read
//   norms     f32[rows, 32]   update   one row is written
//
// One workgroup per share, which has every 32nd block of 256 elements: each invocation sums one element of each block, then the sums are
// added pairwise. Twin: src/kernels/train/squares.rs.

struct Squares {
    len: u32,
    index: u32,
}

@group(0) @binding(0) var<uniform> p: Squares;
@group(0) @binding(1) var<storage, read> gradient: array<f32>;
@group(0) @binding(2) var<storage, read_write> norms: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    var sum = 0.0;
    for (var i = id.x; i < p.len; i += 8192u) { sum += gradient[i] * gradient[i]; }
    sums[lane] = sum;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u { norms[p.index * 32u + workgroup.x] = sums[0]; }
}
