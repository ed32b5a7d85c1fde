// summary: what the host wants to know of a step: an entry of a ring, and whether anything was NaN or infinite
//
//   figures   f32[_, n]             read
//   counted   f32[_, n]             read     not 0 for samples that a figure counts
//   rows      Figure[rows]          read     which row of both each figure of the entry is of
//   norms     f32[norms, 32]        read     shares of squared gradient norms, by `squares`
//   schedule  u32[8]                read     word 0: step
//   ring      f32[ring, 2 + 2 rows] update   entry `step % ring`
//   status    u32[4]                update   [fault, step, place, 0]: written by the first step that has a fault
//
// An entry: step, gradient norm, then of each figure its sum over the samples that it counts, and their number. A fault is 1 for a figure,
// whose row is its place, 2 for a gradient, whose index among the norms is. One workgroup: each invocation sums every 256th sample or norm,
// then the sums are added pairwise. Twin: src/kernels/train/summary.rs.

struct Summary {
    n: u32,
    rows: u32,
    norms: u32,
    ring: u32,
}

struct Figure {
    figure: u32,
    counted: u32,
}

@group(0) @binding(0) var<uniform> p: Summary;
@group(0) @binding(1) var<storage, read> figures: array<f32>;
@group(0) @binding(2) var<storage, read> counted: array<f32>;
@group(0) @binding(3) var<storage, read> rows: array<Figure>;
@group(0) @binding(4) var<storage, read> norms: array<f32>;
@group(0) @binding(5) var<storage, read> schedule: array<u32>;
@group(0) @binding(6) var<storage, read_write> ring: array<f32>;
@group(0) @binding(7) var<storage, read_write> status: array<u32>;

// Sum and number of a figure, or sum of squared norms.
var<workgroup> sums: array<vec2f, 256>;
// 1 if a figure is broken; the first gradient that is.
var<workgroup> places: array<u32, 256>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) lane: u32) {
    let at = schedule[0] % p.ring * (2u + 2u * p.rows);
    var fault = 0u;
    var place = 0u;
    for (var row = 0u; row < p.rows; row++) {
        let figure = rows[row].figure * p.n;
        let counts = rows[row].counted * p.n;
        var sum = vec2f(0.0);
        var bad = 0u;
        for (var i = lane; i < p.n; i += 256u) {
            let value = figures[figure + i];
            if counted[counts + i] != 0.0 { sum += vec2f(value, 1.0); }
            if broken(value) { bad = 1u; }
        }
        add_up(lane, sum, bad);
        if lane == 0u {
            ring[at + 2u + 2u * row] = sums[0].x;
            ring[at + 3u + 2u * row] = sums[0].y;
            if fault == 0u && places[0] != 0u { fault = 1u; place = row; }
        }
        workgroupBarrier();
    }
    var squares = 0.0;
    var first = 0u;
    for (var i = lane; i < p.norms; i += 256u) {
        var whole = 0.0;
        for (var share = 0u; share < 32u; share++) { whole += norms[i * 32u + share]; }
        squares += whole;
        // Counted from the end, so that the first is the largest.
        if broken(whole) { first = max(first, p.norms - i); }
    }
    add_up(lane, vec2f(squares, 0.0), first);
    if lane > 0u { return; }
    ring[at] = f32(schedule[0]);
    ring[at + 1u] = sqrt(sums[0].x);
    if fault == 0u && places[0] != 0u { fault = 2u; place = p.norms - places[0]; }
    if fault == 0u || status[0] != 0u { return; }
    status[0] = fault;
    status[1] = schedule[0];
    status[2] = place;
}

// Leaves the sum of all lanes' `sum` and the largest `mark` in the first elements.
fn add_up(lane: u32, sum: vec2f, mark: u32) {
    sums[lane] = sum;
    places[lane] = mark;
    for (var step = 128u; step > 0u; step /= 2u) {
        workgroupBarrier();
        if lane < step {
            sums[lane] += sums[lane + step];
            places[lane] = max(places[lane], places[lane + step]);
        }
    }
    workgroupBarrier();
}

// By its bits: compilers may take it for granted that no number is NaN.
fn broken(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) == 0x7f800000u;
}
