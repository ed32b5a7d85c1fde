// Sums over a workgroup of 64 invocations, added pairwise; every invocation must call it.

var<workgroup> totals: array<f32, 64>;

fn total(lane: u32, value: f32) -> f32 {
    totals[lane] = value;
    for (var step = 32u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step { totals[lane] += totals[lane + step]; }
    }
    workgroupBarrier();
    let all = totals[0];
    workgroupBarrier();
    return all;
}
