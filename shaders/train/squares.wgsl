// squares: sums of the squares of ranges of an arena of gradients, each in 32 shares, into the rows of a list
//
//   gradients  f32[len]              read
//   ranges     u32[rows, 2]          read     first element and elements
//   norms      f32[first + rows, 32] update   the last `rows` are written
//
// One workgroup per range and share, which has every 32nd block of 256 elements: each invocation sums one element of each block, then the
// sums are added pairwise. Twin: src/kernels/train/squares.rs.

struct Squares {
    len: u32,
    rows: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> p: Squares;
@group(0) @binding(1) var<storage, read> gradients: array<f32>;
@group(0) @binding(2) var<storage, read> ranges: array<u32>;
@group(0) @binding(3) var<storage, read_write> norms: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let start = ranges[id.y * 2u];
    let end = start + ranges[id.y * 2u + 1u];
    var sum = 0.0;
    for (var i = start + id.x; i < end; i += 8192u) { sum += gradients[i] * gradients[i]; }
    sums[lane] = sum;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u { norms[(p.first + id.y) * 32u + workgroup.x] = sums[0]; }
}
