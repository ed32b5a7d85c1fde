// overlap: bit j of row i says that candidate i, if kept, suppresses the later candidate j
//
//   candidates  Candidate[capacity]      read   sorted, best first
//   count       Counter                  read
//   rows        u32[capacity, words]     update words from i / 32 to the last of the list
//
// One invocation per row. With `same_tag`, only candidates of one tag touch each other. Twin: src/kernels/select/overlap.rs.
// Snippets: boxes, counter.

struct Overlap {
    capacity: u32,
    words: u32, // ceil(capacity / 32)
    threshold: f32,
    smaller: u32,  // overlap relative to the smaller box instead of the union
    same_tag: u32,
}

@group(0) @binding(0) var<uniform> p: Overlap;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> count: Counter;
@group(0) @binding(3) var<storage, read_write> rows: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let length = min(count.held, p.capacity);
    let i = id.x;
    if i >= length { return; }
    let mine = candidates[i].corners;
    let tag = candidates[i].tag;
    for (var w = i / 32u; w < (length + 31u) / 32u; w++) {
        var bits = 0u;
        for (var j = max(w * 32u, i + 1u); j < min(w * 32u + 32u, length); j++) {
            let meet = p.same_tag == 0u || candidates[j].tag == tag;
            if meet && overlaps(mine, candidates[j].corners, p.threshold, p.smaller) { bits |= 1u << (j % 32u); }
        }
        rows[i * p.words + w] = bits;
    }
}
