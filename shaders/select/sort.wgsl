// sort: the kept candidates by falling score, ties by place (spec 3.4); with `by_tag`, by tag first
//
//   candidates  Candidate[capacity]   read
//   keep        u32[capacity]         read   0 dropped, 1 kept, 2 dropped because its score is NaN
//   before      Counter               read   length of the list
//   sorted      Candidate[room]       update the best `room` of the kept ones
//   after       Counter               write  held (at most `room`), wanted
//
// One invocation per candidate: its rank is the number of kept candidates before it, so no two write the same place and no order of
// execution shows. Twin: src/kernels/select/sort.rs. Snippets: boxes, counter.

struct Sort {
    capacity: u32,
    room: u32,
    by_tag: u32,
}

@group(0) @binding(0) var<uniform> p: Sort;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> keep: array<u32>;
@group(0) @binding(3) var<storage, read> before: Counter;
@group(0) @binding(4) var<storage, read_write> sorted: array<Candidate>;
@group(0) @binding(5) var<storage, read_write> after: Counter;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let length = min(before.held, p.capacity);
    let i = id.x;
    if i >= max(length, 1u) { return; }
    let score = candidates[i].score;
    let tag = candidates[i].tag;
    var rank = 0u;
    var kept = 0u;
    var fault = before.fault;
    for (var j = 0u; j < length; j++) {
        fault |= keep[j] >> 1u;
        if keep[j] != 1u { continue; }
        kept++;
        let other = candidates[j].score;
        var first = other > score || (other == score && j < i);
        if p.by_tag == 1u && candidates[j].tag != tag { first = candidates[j].tag < tag; }
        rank += select(0u, 1u, first);
    }
    if i == 0u {
        after.held = min(kept, p.room);
        after.wanted = kept;
        after.fault = fault;
        after.unused = 0u;
    }
    if i < length && keep[i] == 1u && rank < p.room { sorted[rank] = candidates[i]; }
}
