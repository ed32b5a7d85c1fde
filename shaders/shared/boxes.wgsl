// Candidates and their overlap. Boxes are 1-based inclusive pixel corners (spec 3).

struct Candidate {
    corners: vec4f, // x1, y1, x2, y2
    offsets: vec4f, // box regression from the net that scored the candidate, in units of the box side
    score: f32,
    tag: f32,       // stage 1: pyramid level; stage 3: row among O-Net's crops
    unused: vec2f,
}

fn box_area(b: vec4f) -> f32 {
    return (b.z - b.x + 1.0) * (b.w - b.y + 1.0);
}

// Returns whether a and b overlap by more than `threshold` of their union or, with `smaller` = 1, of the
// smaller box. Uses products instead of quotients, because multiplications are exactly rounded everywhere and
// divisions are not.
fn overlaps(a: vec4f, b: vec4f, threshold: f32, smaller: u32) -> bool {
    let width = max(0.0, min(a.z, b.z) - max(a.x, b.x) + 1.0);
    let height = max(0.0, min(a.w, b.w) - max(a.y, b.y) + 1.0);
    let shared_area = width * height;
    let whole = select(box_area(a) + box_area(b) - shared_area, min(box_area(a), box_area(b)), smaller == 1u);
    return shared_area > threshold * whole;
}
