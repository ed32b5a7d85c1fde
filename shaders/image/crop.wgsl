// crop: cuts candidates out of the frame, zero outside it, and resamples them to side x side (spec 3.2, 3.4)
//
//   frames      u32[images, frame_h, frame_w]  read   pixels, R in the low byte
//   candidates  Candidate[images, capacity]    read   integer corners
//   counters    Counter[lists, images]         read
//   y           f32[n, 3, side, side]          write  normalised pixels of candidates first.., maybe mirrored
//
// Candidates are counted over all images in sequence. One invocation per item and pixel, three channels each.
// A box without area yields zero pixels.
// Twin: src/kernels/image/crop.rs. Snippets: taps, images, boxes, counter, walk.

struct Crop {
    n: u32,
    images: u32,
    capacity: u32,
    list: u32,
    frame_w: u32,
    frame_h: u32,
    first: u32,
    side: u32,
    bilinear: u32,
    mirror: u32,
}

@group(0) @binding(0) var<uniform> p: Crop;
@group(0) @binding(1) var<storage, read> frames: array<u32>;
@group(0) @binding(2) var<storage, read> candidates: array<Candidate>;
@group(0) @binding(3) var<storage, read> counters: array<Counter>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var at = workgroup.x * 64u; at < p.n * p.side * p.side; at += WALKERS * 64u) { sample(at + lane); }
}

// Computes pixel number `index` of all items.
fn sample(index: u32) {
    let plane = p.side * p.side;
    let item = index / plane;
    if item >= p.n { return; }
    let pixel = index % plane;
    var column = pixel % p.side;
    if p.mirror == 1u { column = p.side - 1u - column; }
    let owner = image_of(p.first + item, p.list, p.images);
    let corners = vec4i(candidates[owner.x * p.capacity + owner.y].corners);
    let origin = owner.x * p.frame_h * p.frame_w;
    let size = corners.zw - corners.xy + 1;
    var sum = vec3f(0.0);
    if all(size > vec2i(0)) {
        let rows = taps(pixel / p.side, u32(size.y), p.side, p.bilinear);
        let columns = taps(column, u32(size.x), p.side, p.bilinear);
        // Rows and columns of the frame under the taps; pixels outside have byte value 0, which adds nothing.
        let top = max(i32(rows.first) + corners.y - 1, 0);
        let bottom = min(i32(rows.last) + corners.y - 1, i32(p.frame_h) - 1);
        let left = max(i32(columns.first) + corners.x - 1, 0);
        let right = min(i32(columns.last) + corners.x - 1, i32(p.frame_w) - 1);
        for (var i = top; i <= bottom; i++) {
            var line = vec3f(0.0);
            for (var j = left; j <= right; j++) {
                let texel = frames[origin + u32(i) * p.frame_w + u32(j)];
                let rgb = vec3f(f32(texel & 255u), f32((texel >> 8u) & 255u), f32((texel >> 16u) & 255u));
                line += tap_weight(columns, u32(j - corners.x + 1), u32(size.x), p.side) * rgb;
            }
            sum += tap_weight(rows, u32(i - corners.y + 1), u32(size.y), p.side) * line;
        }
        sum /= tap_total(rows, u32(size.y), p.side) * tap_total(columns, u32(size.x), p.side);
    }
    let normal = (sum - 127.5) * 0.0078125;
    let at = item * 3u * plane + pixel;
    y[at] = normal.x;
    y[at + plane] = normal.y;
    y[at + 2u * plane] = normal.z;
}
