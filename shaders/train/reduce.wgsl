// reduce: sum[e] += partial[e * element + 0 * slab] + partial[e * element + 1 * slab] + ..., in this order
//
//   partial  f32[len, slabs] or [slabs, len]  read     by the strides `element` and `slab`
//   sum      f32[len]                         update   every element added to once
//
// One invocation per element. Twin: src/kernels/train/reduce.rs.

struct Reduce {
    len: u32,
    slabs: u32,
    element: u32, // from one element to the next
    slab: u32,    // from one slab to the next
}

@group(0) @binding(0) var<uniform> p: Reduce;
@group(0) @binding(1) var<storage, read> partial: array<f32>;
@group(0) @binding(2) var<storage, read_write> sum: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.len { return; }
    var total = 0.0;
    for (var s = 0u; s < p.slabs; s++) { total += partial[id.x * p.element + s * p.slab]; }
    sum[id.x] += total;
}
