// place_items: whole[r, first + i] = part[r, i], words as they are: rows of a micro-batch into those of the whole batch
//
//   part      u32[rows, n]    read
//   schedule  u32[8]          read     word 5: first item
//   whole     u32[rows, all]  update
//
// One invocation per row and item. Twin: src/kernels/train/place_items.rs.

struct PlaceItems {
    rows: u32,
    n: u32,
    all: u32,
}

@group(0) @binding(0) var<uniform> p: PlaceItems;
@group(0) @binding(1) var<storage, read> part: array<u32>;
@group(0) @binding(2) var<storage, read> schedule: array<u32>;
@group(0) @binding(3) var<storage, read_write> whole: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    whole[id.y * p.all + schedule[5] + id.x] = part[id.y * p.n + id.x];
}
