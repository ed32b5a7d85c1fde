// rank: ranks the kept candidates by descending score, ties by place (spec 3.4), and finds the later ones
// that each would suppress
//
//   candidates  Candidate[images, capacity]    read    in order of tags with `same_tag`
//   keep        u32[images, capacity]          read    1: takes part
//   counters    Counter[lists, images]         read
//   order       u32[images, capacity]          update  their places, best first; per tag with `same_tag`
//   rows        u32[images, capacity, words]   update  bit j of row i: i is ranked before j and suppresses it
//
// One invocation per candidate, images along y. Its rank is the number of candidates before it, so no two
// invocations write the same place and the result does not depend on the order of execution. With `same_tag`,
// candidates of different tags are not compared. Twin: src/kernels/select/rank.rs. Snippets: boxes, counter.

struct Rank {
    images: u32,
    capacity: u32,
    words: u32, // ceil(capacity / 32)
    list: u32,
    threshold: f32,
    smaller: u32,  // 1: overlap relative to the smaller box instead of the union
    same_tag: u32,
}

@group(0) @binding(0) var<uniform> p: Rank;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> keep: array<u32>;
@group(0) @binding(3) var<storage, read> counters: array<Counter>;
@group(0) @binding(4) var<storage, read_write> order: array<u32>;
@group(0) @binding(5) var<storage, read_write> rows: array<u32>;

// Returns the first of `length` places after `start` whose tag is at least `tag`.
fn place_of(tag: f32, start: u32, length: u32) -> u32 {
    var low = 0u;
    var high = length;
    while low < high {
        let middle = (low + high) / 2u;
        if candidates[start + middle].tag < tag { low = middle + 1u; } else { high = middle; }
    }
    return low;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let length = min(counters[p.list * p.images + id.y].held, p.capacity);
    let start = id.y * p.capacity;
    let i = id.x;
    if i >= length || keep[start + min(i, p.capacity - 1u)] != 1u { return; }
    let me = candidates[start + i];
    var first = 0u;
    var end = length;
    if p.same_tag == 1u {
        first = place_of(me.tag, start, length);
        end = place_of(me.tag + 1.0, start, length);
    }
    var rank = first;
    for (var w = first / 32u; w * 32u < end; w++) {
        var bits = 0u;
        let stop = min(w * 32u + 32u, end);
        for (var j = max(w * 32u, first); j < stop; j++) {
            // A loop instead of a condition, because software adapters execute both sides of a condition.
            while j < stop && keep[start + j] != 1u { j++; }
            if j >= stop { break; }
            let score = candidates[start + j].score;
            if score > me.score || (score == me.score && j < i) {
                rank++;
            } else if j != i && overlaps(me.corners, candidates[start + j].corners, p.threshold, p.smaller) {
                bits |= 1u << (j % 32u);
            }
        }
        rows[(start + i) * p.words + w] = bits;
    }
    order[start + rank] = i;
}
