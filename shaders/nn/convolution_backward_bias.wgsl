// convolution_backward_bias: dbias[o] += sum_{n,i} dy[n,o,i]
//
//   dy     f32[n, out, plane]  read
//   dbias  f32[out]            update  every element added to once
//
// One workgroup an output: each invocation sums every 256th element, then the sums are added pairwise.
// Twin: src/kernels/nn/convolution_backward_bias.rs. Snippets: grid.

struct ConvolutionBackwardBias {
    n: u32,
    out: u32,
    plane: u32,
}

@group(0) @binding(0) var<uniform> p: ConvolutionBackwardBias;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read_write> dbias: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let o = flat_workgroup(workgroup);
    var total = 0.0;
    if o < p.out {
        for (var i = lane; i < p.n * p.plane; i += 256u) { total += dy[(i / p.plane * p.out + o) * p.plane + i % p.plane]; }
    }
    sums[lane] = total;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u && o < p.out { dbias[o] += sums[0]; }
}
