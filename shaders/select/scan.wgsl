// scan: exclusive prefix sum of the hits per block, continued from what earlier chunks held
//
//   counts   u32[blocks]     read   by the hits kernel
//   before   Counter         read   candidates held by earlier chunks
//   offsets  u32[blocks]     write  place of each block's first candidate
//   after    Counter         write  held (at most `capacity`), wanted, and whether a NaN was seen
//
// One workgroup; each invocation sums a run of blocks, then the 256 sums are scanned. Twin: src/kernels/select/scan.rs. Snippets: counter.

struct Scan {
    blocks: u32,
    capacity: u32,
}

@group(0) @binding(0) var<uniform> p: Scan;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read> before: Counter;
@group(0) @binding(3) var<storage, read_write> offsets: array<u32>;
@group(0) @binding(4) var<storage, read_write> after: Counter;

var<workgroup> sums: array<u32, 256>;
var<workgroup> faults: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let run = (p.blocks + 255u) / 256u;
    let first = min(lane * run, p.blocks);
    let last = min(first + run, p.blocks);
    var sum = 0u;
    var fault = 0u;
    for (var i = first; i < last; i++) {
        sum += counts[i] & 0x7fffffffu;
        fault |= counts[i] >> 31u;
    }
    sums[lane] = sum;
    faults[lane] = fault;
    for (var step = 1u; step < 256u; step *= 2u) {
        workgroupBarrier();
        let add = select(0u, sums[max(lane, step) - step], lane >= step);
        let more = select(0u, faults[max(lane, step) - step], lane >= step);
        workgroupBarrier();
        sums[lane] += add;
        faults[lane] |= more;
    }
    workgroupBarrier();
    var offset = before.wanted + sums[lane] - sum;
    for (var i = first; i < last; i++) {
        offsets[i] = offset;
        offset += counts[i] & 0x7fffffffu;
    }
    if lane == 255u {
        let wanted = before.wanted + sums[255];
        after.held = min(wanted, p.capacity);
        after.wanted = wanted;
        after.fault = before.fault | faults[255];
        after.unused = 0u;
    }
}
