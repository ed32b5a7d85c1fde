// reduce: sum[e] += sum over s of partial[e * element + s * slab], in the same order in every run
//
//   partial  f32[len, slabs] or [slabs, len]  read     layout given by the strides `element` and `slab`
//   sum      f32[len]                         update   every element added to once
//
// A workgroup computes 16 elements with 16 invocations each: every invocation sums every 16th slab, then the
// sums are added pairwise.
// Twin: src/kernels/train/reduce.rs. Snippets: grid.

struct Reduce {
    len: u32,
    slabs: u32,
    element: u32, // stride from one element to the next
    slab: u32,    // stride from one slab to the next
}

@group(0) @binding(0) var<uniform> p: Reduce;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

var<workgroup> sums: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let e = flat_workgroup(workgroup) * 16u + lane % 16u;
    var total = 0.0;
    if e < p.len {
        for (var s = lane / 16u; s < p.slabs; s += 16u) { total += partial[e * p.element + s * p.slab]; }
    }
    sums[lane] = total;
    for (var step = 128u; step > 8u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane < 16u && e < p.len { sum[e] += sums[lane]; }
}
