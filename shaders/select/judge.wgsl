// judge: the last layers of a net over its crops, fused with the decision (spec 2.2, 2.3, 3.5): dense layer
// and PReLU, linear heads, softmax; writes probability, offsets and landmarks to the list
//
//   x           f32[n, inputs]                read     activations of crops first..
//   weight      vec4f[inputs, quads]          read     weights of the dense layer, packed as for nn/dense
//   parameters  vec4f[1280]                   uniform  bias, slope [quads]; heads [hidden, outs], bias [outs]
//   candidates  Candidate[images, capacity]   read     the crops' boxes
//   counters    Counter[lists, images]        read
//   mirrored    f32[images, capacity, 10]     read     landmarks of mirrored crops, used with `mirror`
//   scored      Candidate[images, capacity]   update   score, offsets, tag = place; moved if `regress`
//   keep        u32[images, capacity]         update   1: passes; 0: does not, or has no area; 2: NaN
//   landmarks   f32[images, capacity, 10]     update   x0..x4, y0..y4 in units of the box, with 16 outputs
//
// One workgroup per 8 crops. Twin: src/kernels/select/judge.rs.
// Snippets: layers, images, boxes, counter, probability, walk.

struct Judge {
    n: u32,
    images: u32,
    capacity: u32,
    list: u32,
    first: u32,
    inputs: u32,
    quads: u32,  // quads of hidden values: 2, 4, 8, 16, 32 or 64
    outs: u32,   // quads of outputs: 2, or 4 with landmarks
    mirror: u32,
    regress: u32,
    threshold: f32,
}

@group(0) @binding(0) var<uniform> p: Judge;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<vec4f>;
@group(0) @binding(3) var<uniform> parameters: array<vec4f, 1280>;
@group(0) @binding(4) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(5) var<storage, read> counters: array<Counter>;
@group(0) @binding(6) var<storage, read> mirrored: array<f32>;
@group(0) @binding(7) var<storage, read_write> scored: array<Candidate>;
@group(0) @binding(8) var<storage, read_write> keep: array<u32>;
@group(0) @binding(9) var<storage, read_write> landmarks: array<f32>;

fn landmark(at: u32, k: u32, own: vec2f, partner: u32) {
    var point = own;
    if p.mirror == 1u {
        // A mirrored crop swaps left and right.
        point = (point + vec2f(1.0 - mirrored[at + partner], mirrored[at + 5u + partner])) * 0.5;
    }
    landmarks[at + k] = point.x;
    landmarks[at + 5u + k] = point.y;
}

fn verdict(item: u32, at: u32) {
    let owner = image_of(p.first + item, p.list, p.images);
    if owner.y >= counters[p.list * p.images + owner.x].held { return; }
    let i = owner.x * p.capacity + owner.y;
    let a = sums[at];
    let b = sums[at + 1u];
    var c = candidates[i];
    let size = c.corners.zw - c.corners.xy + 1.0;
    c.score = face_probability(a.x, a.y);
    c.offsets = vec4f(a.zw, b.xy);
    c.tag = f32(owner.y);
    let good = c.score > p.threshold && all(size > vec2f(0.0));
    let fault = is_nan(c.score);
    keep[i] = select(select(0u, 1u, good), 2u, fault);
    if fault { c.score = 0.0; }
    if p.regress == 1u { c.corners += c.offsets * size.xyxy; }
    scored[i] = c;
    if p.outs < 4u { return; }
    let y = sums[at + 2u];
    let z = sums[at + 3u];
    landmark(i * 10u, 0u, vec2f(b.z, y.w), 1u);
    landmark(i * 10u, 1u, vec2f(b.w, z.x), 0u);
    landmark(i * 10u, 2u, vec2f(y.x, z.y), 2u);
    landmark(i * 10u, 3u, vec2f(y.y, z.z), 4u);
    landmark(i * 10u, 4u, vec2f(y.z, z.w), 3u);
}

@compute @workgroup_size(128)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var item = workgroup.x * 8u; item < p.n; item += WALKERS * 8u) {
        two_layers(lane, item);
        if lane < 8u && item + lane < p.n { verdict(item + lane, lane * p.outs); }
        workgroupBarrier();
    }
}
