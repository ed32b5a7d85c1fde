// settle: NMS over a ranked list (spec 3.4); kept candidates become the next list, moved by their regression
// and squared if a net processes them next; their number is the number of items of that net's steps
//
//   candidates  Candidate[images, capacity]    read
//   keep        u32[images, capacity]          read    1: took part in the ranking, 2: the score is NaN
//   order       u32[images, capacity]          read    from the rank kernel
//   rows        u32[images, capacity, words]   read    from the rank kernel
//   steps       Row[steps]                     read    counted steps
//   settled     Candidate[images, room]        update  best first
//   counters    Counter[lists, images]         update  `middle` (ranked) and `to` (settled), from `list`
//   items       u32[steps, 64]                 update  with one image: items of each step, in its first word
//
// One workgroup per image. Twin: src/kernels/select/settle.rs. Snippets: greedy, boxes, counter, rows.

struct Settle {
    images: u32,
    capacity: u32, // at most 16384
    words: u32,
    room: u32,
    list: u32,
    middle: u32,
    to: u32,
    steps: u32,
    square: u32, // 1: regress, square, truncate
    extra: f32,  // width is x2 - x1 + extra: 0 after P-Net, 1 after R-Net
}

@group(0) @binding(0) var<uniform> p: Settle;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> keep: array<u32>;
@group(0) @binding(3) var<storage, read> order: array<u32>;
@group(0) @binding(4) var<storage, read> rows: array<u32>;
@group(0) @binding(5) var<storage, read> steps: array<Row>;
@group(0) @binding(6) var<storage, read_write> settled: array<Candidate>;
@group(0) @binding(7) var<storage, read_write> counters: array<Counter>;
@group(0) @binding(8) var<storage, read_write> items: array<u32>;

var<workgroup> sums: array<vec2u, 256>; // per invocation: ranked candidates and NaNs
var<workgroup> all: vec2u;

fn refined(candidate: Candidate) -> Candidate {
    var c = candidate;
    if p.square == 0u { return c; }
    let size = c.corners.zw - c.corners.xy + p.extra;
    let b = c.corners + c.offsets * size.xyxy;
    let side = b.zw - b.xy;
    let longest = max(side.x, side.y);
    let corner = b.xy + (side - longest) * 0.5;
    // Corners far away are clamped to values that are exact as integers.
    c.corners = trunc(clamp(vec4f(corner, corner + longest), vec4f(-1048576.0), vec4f(1048576.0)));
    return c;
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    let image = workgroup.x;
    let start = image * p.capacity;
    let before = counters[p.list * p.images + image];
    let length = min(before.held, p.capacity);
    var seen = vec2u(0u, min(before.fault, 1u));
    for (var i = lane; i < length; i += 256u) {
        seen += vec2u(keep[start + i] & 1u, keep[start + i] >> 1u);
    }
    sums[lane] = seen;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { sums[lane] += sums[lane + step]; }
    }
    if lane == 0u { all = sums[0]; }
    nobody_gone(lane);
    let ranked = workgroupUniformLoad(&all);
    var total = 0u;
    for (var at = 0u; at < ranked.x; at += 32u) {
        let count = min(32u, ranked.x - at);
        let stay = keepers(lane, start + at, count, start * p.words, p.words, 0u, (length + 31u) / 32u);
        let place = total + countOneBits(stay & ((1u << (lane % 32u)) - 1u));
        if lane < count && ((stay >> lane) & 1u) == 1u && place < p.room {
            settled[image * p.room + place] = refined(candidates[start + members[lane]]);
        }
        total += countOneBits(stay);
        workgroupBarrier();
    }
    let held = min(total, p.room);
    let fault = min(ranked.y, 1u);
    if lane == 0u {
        counters[p.middle * p.images + image] = Counter(ranked.x, ranked.x, fault, 0u);
        counters[p.to * p.images + image] = Counter(held, total, fault, 0u);
    }
    if p.images > 1u { return; }
    for (var i = lane; i < p.steps; i += 256u) { items[i * ENTRY] = items_of(steps[i], held); }
}
