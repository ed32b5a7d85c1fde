// refine: moves each box by its regression; for the next net also squares it and truncates its corners (spec 3.3, 3.4)
//
//   candidates  Candidate[capacity]   read
//   count       Counter               read
//   refined     Candidate[capacity]   update the same list with new corners
//
// One invocation per candidate. Twin: src/kernels/select/refine.rs. Snippets: boxes, counter.

struct Refine {
    capacity: u32,
    extra: f32,  // width is x2 - x1 + extra: 0 after P-Net, 1 after R- and O-Net
    square: u32, // 1: make it square and truncate toward zero
}

@group(0) @binding(0) var<uniform> p: Refine;
@group(0) @binding(1) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(2) var<storage, read> count: Counter;
@group(0) @binding(3) var<storage, read_write> refined: array<Candidate>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= min(count.held, p.capacity) { return; }
    var c = candidates[id.x];
    let size = c.corners.zw - c.corners.xy + p.extra;
    var b = c.corners + c.offsets * size.xyxy;
    if p.square == 1u {
        let side = b.zw - b.xy;
        let longest = max(side.x, side.y);
        let corner = b.xy + (side - longest) * 0.5;
        // Far corners hold within what an integer and a frame can express.
        b = trunc(clamp(vec4f(corner, corner + longest), vec4f(-1048576.0), vec4f(1048576.0)));
    }
    c.corners = b;
    refined[id.x] = c;
}
