// nms: walks the sorted list; a candidate that no kept earlier one suppresses is kept (spec 3.4)
//
//   rows   u32[capacity, words]   read   by the overlap kernel
//   count  Counter                read
//   keep   u32[capacity]          update 1 kept, 0 suppressed
//
// One workgroup takes 32 candidates at a time: one invocation settles them among themselves, then all mark what the kept ones suppress.
// Twin: src/kernels/select/nms.rs. Snippets: counter.

struct Nms {
    capacity: u32, // at most 16384
    words: u32,
}

@group(0) @binding(0) var<uniform> p: Nms;
@group(0) @binding(1) var<storage, read> rows: array<u32>;
@group(0) @binding(2) var<storage, read> count: Counter;
@group(0) @binding(3) var<storage, read_write> keep: array<u32>;

var<workgroup> suppressed: array<u32, 512>;
var<workgroup> own: array<u32, 32>; // what the 32 candidates at hand suppress among themselves
var<workgroup> kept: u32;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let n = min(count.held, p.capacity);
    suppressed[lane] = 0u;
    suppressed[lane + 256u] = 0u;
    workgroupBarrier();
    let words = (n + 31u) / 32u;
    for (var w = 0u; w < words; w++) {
        let i = w * 32u + lane;
        if lane < 32u { own[lane] = select(0u, rows[min(i, n - 1u) * p.words + w], i < n); }
        workgroupBarrier();
        if lane == 0u {
            var gone = suppressed[w];
            var stay = 0u;
            for (var k = 0u; k < min(32u, n - w * 32u); k++) {
                if ((gone >> k) & 1u) == 0u {
                    stay |= 1u << k;
                    gone |= own[k];
                }
            }
            kept = stay;
        }
        let stay = workgroupUniformLoad(&kept);
        if lane < 32u && i < n { keep[i] = (stay >> lane) & 1u; }
        for (var v = w + 1u + lane; v < words; v += 256u) {
            var gone = suppressed[v];
            for (var left = stay; left != 0u; left &= left - 1u) {
                gone |= rows[(w * 32u + countTrailingZeros(left)) * p.words + v];
            }
            suppressed[v] = gone;
        }
        workgroupBarrier();
    }
}
