// Greedy NMS by a workgroup of 256 over a ranked list: the kernel binds `rows` and `order`, as written by the
// rank kernel. Processes 32 candidates at a time: one invocation decides among them, then all invocations
// mark what the kept ones suppress. This needs no barrier per kept candidate.

var<workgroup> gone: array<u32, 512>;   // by place: suppressed by a kept candidate
var<workgroup> members: array<u32, 32>; // places of the current 32
var<workgroup> own: array<u32, 32>;     // later members that each suppresses; own bit if suppressed itself
var<workgroup> kept: u32;

fn nobody_gone(lane: u32) {
    gone[lane] = 0u;
    gone[lane + 256u] = 0u;
    workgroupBarrier();
}

// Decides on `count` candidates starting at `at` in `order`; bit k of the result is set if the k-th of them
// is kept. Rows start at `first_row`, have `words` words each, and are used from word `low` to word `high`.
fn keepers(lane: u32, at: u32, count: u32, first_row: u32, words: u32, low: u32, high: u32) -> u32 {
    if lane < count { members[lane] = order[at + lane]; }
    workgroupBarrier();
    if lane < count {
        let me = members[lane];
        var bits = ((gone[me / 32u] >> (me % 32u)) & 1u) << lane;
        for (var k = lane + 1u; k < count; k++) {
            let other = members[k];
            bits |= ((rows[first_row + me * words + other / 32u] >> (other % 32u)) & 1u) << k;
        }
        own[lane] = bits;
    }
    workgroupBarrier();
    if lane == 0u {
        var lost = 0u;
        var stay = 0u;
        for (var k = 0u; k < count; k++) {
            let bits = own[k];
            if (((lost | bits) >> k) & 1u) == 0u {
                stay |= 1u << k;
                lost |= bits;
            }
        }
        kept = stay;
    }
    let stay = workgroupUniformLoad(&kept);
    for (var w = low + lane; w < high; w += 256u) {
        var lost = gone[w];
        for (var left = stay; left != 0u; left &= left - 1u) {
            lost |= rows[first_row + members[countTrailingZeros(left)] * words + w];
        }
        gone[w] = lost;
    }
    workgroupBarrier();
    return stay;
}
