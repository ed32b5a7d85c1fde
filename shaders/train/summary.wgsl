// summary: what the host wants to know of a step: an entry of a ring, and whether anything was NaN or infinite
//
//   y         f32[n, outputs]  read
//   kinds     u32[n]           read     bits 0 to 2: the tasks that a sample has; bit 3: it is a face
//   losses    f32[3, n]        read
//   scales    f32[3, n]        read     by `mine`
//   norms     f32[norms, 32]   read     shares of squared gradient norms, by `squares`
//   schedule  u32[8]           read     word 0: step
//   ring      f32[ring, 12]    update   entry `step % ring`
//   status    u32[4]           update   [fault, step, task, place]: written by the first step that has a fault
//
// An entry: total loss, then per task the mean loss of the kept samples; samples with a gradient per task; faces and non-faces told
// right; samples that have the class task; gradient norm; step; mean cross entropy of all samples. A fault's task is
// 0 to 2 for a loss, 3 for a gradient, whose index among the norms is its place. One workgroup: each invocation sums every 256th sample, then the sums are added pairwise.
// Twin: src/kernels/train/summary.rs.

struct Summary {
    n: u32,
    outputs: u32,
    norms: u32,
    ring: u32,
}

@group(0) @binding(0) var<uniform> p: Summary;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> kinds: array<u32>;
@group(0) @binding(3) var<storage, read> losses: array<f32>;
@group(0) @binding(4) var<storage, read> scales: array<f32>;
@group(0) @binding(5) var<storage, read> norms: array<f32>;
@group(0) @binding(6) var<storage, read> schedule: array<u32>;
@group(0) @binding(7) var<storage, read_write> ring: array<f32>;
@group(0) @binding(8) var<storage, read_write> status: array<u32>;

// total, unused · loss of the kept per task, cross entropy of all · kept per task, told right
var<workgroup> weighted: array<vec4f, 256>;
var<workgroup> means: array<vec4f, 256>;
var<workgroup> counts: array<vec4f, 256>;
// Squared norm of each gradient.
var<workgroup> whole: array<f32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    var sums = vec4f(0.0);
    var mean = vec4f(0.0);
    var count = vec4f(0.0);
    for (var i = lane; i < p.n; i += 256u) {
        let loss = vec3f(losses[i], losses[p.n + i], losses[2u * p.n + i]);
        let scale = vec3f(scales[i], scales[p.n + i], scales[2u * p.n + i]);
        let kept = select(vec3f(0.0), vec3f(1.0), scale != vec3f(0.0));
        let has = f32(kinds[i] & 1u);
        let right = (y[i * p.outputs + 1u] > y[i * p.outputs]) == ((kinds[i] & 8u) != 0u);
        sums += vec4f(loss.x * scale.x + loss.y * scale.y + loss.z * scale.z, has, 0.0, 0.0);
        mean += vec4f(loss * kept, loss.x);
        count += vec4f(kept, select(0.0, has, right));
    }
    weighted[lane] = sums;
    means[lane] = mean;
    counts[lane] = count;
    whole[lane] = 0.0;
    if lane < p.norms {
        for (var share = 0u; share < 32u; share++) { whole[lane] += norms[lane * 32u + share]; }
    }
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step {
            weighted[lane] += weighted[lane + step];
            means[lane] += means[lane + step];
            counts[lane] += counts[lane + step];
        }
    }
    if lane > 0u { return; }
    var squares = 0.0;
    var place = p.norms;
    for (var i = 0u; i < p.norms; i++) {
        squares += whole[i];
        if broken(whole[i]) && place == p.norms { place = i; }
    }
    let kept = counts[0];
    let pool = weighted[0].y;
    let loss = means[0] / max(vec4f(kept.xyz, pool), vec4f(1.0));
    let at = schedule[0] % p.ring * 12u;
    ring[at] = weighted[0].x;
    ring[at + 1u] = loss.x; ring[at + 2u] = loss.y; ring[at + 3u] = loss.z;
    ring[at + 4u] = kept.x; ring[at + 5u] = kept.y; ring[at + 6u] = kept.z;
    ring[at + 7u] = kept.w; ring[at + 8u] = pool;
    ring[at + 9u] = sqrt(squares);
    ring[at + 10u] = f32(schedule[0]);
    ring[at + 11u] = loss.w;
    if status[0] != 0u { return; }
    var task = 4u;
    if place < p.norms { task = 3u; }
    if broken(means[0].z) { task = 2u; }
    if broken(means[0].y) { task = 1u; }
    if broken(means[0].w) { task = 0u; }
    if task < 4u { status[0] = 1u; status[1] = schedule[0]; status[2] = task; }
    if task == 3u { status[3] = place; }
}

// By its bits: compilers may take it for granted that no number is NaN.
fn broken(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}
