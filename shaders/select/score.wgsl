// score: a net's verdict on its crops: probability, offsets and landmarks into the list, over the threshold or not (spec 3.5)
//
//   candidates  Candidate[capacity]      read    the crops' boxes
//   count       Counter                  read
//   heads       f32[n, outputs]          read    two logits, four offsets, then x0..x4, y0..y4 if outputs is 16; of crops first..
//   mirrored    f32[n, outputs]          read    the same for mirrored crops, used with `mirror`
//   scored      Candidate[capacity]      update  entries first.. : corners as they were, new score and offsets, tag = row in the list
//   keep        u32[capacity]            update  1 over the threshold, 0 not (or a box without area), 2 NaN
//   landmarks   f32[capacity, 10]        update  entries first.. if outputs is 16, in units of the box
//
// One invocation per crop of the chunk. Twin: src/kernels/select/score.rs. Snippets: boxes, counter, probability.

struct Score {
    capacity: u32,
    n: u32,
    first: u32,
    outputs: u32,
    mirror: u32,
    threshold: f32,
}

@group(0) @binding(0) var<uniform> p: Score;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> count: Counter;
@group(0) @binding(3) var<storage, read> heads: array<f32>;
@group(0) @binding(4) var<storage, read> mirrored: array<f32>;
@group(0) @binding(5) var<storage, read_write> scored: array<Candidate>;
@group(0) @binding(6) var<storage, read_write> keep: array<u32>;
@group(0) @binding(7) var<storage, read_write> landmarks: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let i = p.first + id.x;
    if id.x >= p.n || i >= min(count.held, p.capacity) { return; }
    let at = id.x * p.outputs;
    var c = candidates[i];
    c.score = face_probability(heads[at], heads[at + 1u]);
    c.offsets = vec4f(heads[at + 2u], heads[at + 3u], heads[at + 4u], heads[at + 5u]);
    c.tag = f32(i);
    let size = c.corners.zw - c.corners.xy + 1.0;
    let good = c.score > p.threshold && all(size > vec2f(0.0));
    let fault = is_nan(c.score);
    keep[i] = select(select(0u, 1u, good), 2u, fault);
    if fault { c.score = 0.0; }
    scored[i] = c;
    if p.outputs == 16u { place_landmarks(i, at + 6u); }
}

fn place_landmarks(i: u32, at: u32) {
    // In the mirror left and right change places: landmarks 0 and 1, 3 and 4.
    var partner = array<u32, 5>(1u, 0u, 2u, 4u, 3u);
    for (var k = 0u; k < 5u; k++) {
        var point = vec2f(heads[at + k], heads[at + 5u + k]);
        if p.mirror == 1u {
            let other = vec2f(1.0 - mirrored[at + partner[k]], mirrored[at + 5u + partner[k]]);
            point = (point + other) * 0.5;
        }
        landmarks[i * 10u + k] = point.x;
        landmarks[i * 10u + 5u + k] = point.y;
    }
}
