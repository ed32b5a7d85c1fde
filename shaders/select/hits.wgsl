// hits: P-Net cells whose face probability reaches the threshold, counted per block of 256
//
//   heads   f32[6, cells]   read   background and face logit, four box offsets
//   counts  u32[blocks]     write  hits in the low 31 bits; the top bit says that a probability was NaN
//
// One workgroup per block. Twin: src/kernels/select/hits.rs. Snippets: probability.

struct Hits {
    cells: u32,
    threshold: f32,
}

@group(0) @binding(0) var<uniform> p: Hits;
@group(0) @binding(1) var<storage, read> heads: array<f32>;
@group(0) @binding(2) var<storage, read_write> counts: array<u32>;

var<workgroup> sums: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) block: vec3u) {
    var found = 0u;
    if id.x < p.cells {
        let probability = face_probability(heads[id.x], heads[p.cells + id.x]);
        // Hits in the low half, NaNs in the high half.
        found = select(select(0u, 1u, probability >= p.threshold), 0x10000u, is_nan(probability));
    }
    sums[lane] = found;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u { counts[block.x] = (sums[0] & 0xffffu) | select(0u, 0x80000000u, sums[0] > 0xffffu); }
}
