// suppress: NMS among candidates of the same tag, all of which took part in the ranking (spec 3.3): clears
// the flags of those that are suppressed
//
//   candidates  Candidate[images, capacity]    read    in order of tags
//   counters    Counter[lists, images]         read
//   order       u32[images, capacity]          read    from the rank kernel
//   rows        u32[images, capacity, words]   read    from the rank kernel
//   keep        u32[images, capacity]          update  1: kept, 0: suppressed
//
// One workgroup per tag, images along y. Twin: src/kernels/select/suppress.rs.
// Snippets: greedy, boxes, counter.

struct Suppress {
    images: u32,
    capacity: u32, // at most 16384
    words: u32,
    list: u32,
    tags: u32,
}

@group(0) @binding(0) var<uniform> p: Suppress;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> counters: array<Counter>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> keep: array<u32>;

var<workgroup> bounds: array<u32, 2>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let start = workgroup.y * p.capacity;
    if lane < 2u {
        // First place with this tag, or with the next tag.
        let tag = f32(workgroup.x + lane);
        var low = 0u;
        var high = min(counters[p.list * p.images + workgroup.y].held, p.capacity);
        while low < high {
            let middle = (low + high) / 2u;
            if candidates[start + middle].tag < tag { low = middle + 1u; } else { high = middle; }
        }
        bounds[lane] = low;
    }
    nobody_gone(lane);
    let places = workgroupUniformLoad(&bounds);
    for (var at = places[0]; at < places[1]; at += 32u) {
        let count = min(32u, places[1] - at);
        let stay = keepers(lane, start + at, count, start * p.words, p.words, places[0] / 32u, (places[1] + 31u) / 32u);
        if lane < count { keep[start + members[lane]] = (stay >> lane) & 1u; }
        workgroupBarrier();
    }
}
