// faces: converts the final list to image space: pixel edges, score, landmarks (spec 3.1, 3.5)
//
//   found      Candidate[images, capacity]  read    refined, after the last NMS, best first
//   counters   Counter[lists, images]       read
//   crops      Candidate[images, rows]      read    O-Net's input boxes; found[i].tag is the index of a row
//   landmarks  f32[images, rows, 10]        read    x0..x4, y0..y4 in units of the input box
//   faces      f32[images, capacity, 16]    update  x1, y1, x2, y2, score, x0..x4, y0..y4, 0 of every face
//
// One invocation per face, images along y. Twin: src/kernels/select/faces.rs. Snippets: boxes, counter.

struct Faces {
    images: u32,
    list: u32,
    capacity: u32,
    rows: u32,
}

@group(0) @binding(0) var<uniform> p: Faces;
@group(0) @binding(1) var<storage, read> found: array<Candidate>;
@group(0) @binding(2) var<storage, read> counters: array<Counter>;
@group(0) @binding(3) var<storage, read> crops: array<Candidate>;
@group(0) @binding(4) var<storage, read> landmarks: array<f32>;
@group(0) @binding(5) var<storage, read_write> faces: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= min(counters[p.list * p.images + id.y].held, p.capacity) { return; }
    let face = found[id.y * p.capacity + id.x];
    let row = id.y * p.rows + min(u32(face.tag), p.rows - 1u);
    let crop = crops[row].corners;
    let size = crop.zw - crop.xy + 1.0;
    let out = (id.y * p.capacity + id.x) * 16u;
    faces[out] = face.corners.x - 1.0;
    faces[out + 1u] = face.corners.y - 1.0;
    faces[out + 2u] = face.corners.z;
    faces[out + 3u] = face.corners.w;
    faces[out + 4u] = face.score;
    for (var k = 0u; k < 5u; k++) {
        let point = crop.xy - 1.0 + vec2f(landmarks[row * 10u + k], landmarks[row * 10u + 5u + k]) * size;
        faces[out + 5u + k] = point.x;
        faces[out + 10u + k] = point.y;
    }
    faces[out + 15u] = 0.0;
}
