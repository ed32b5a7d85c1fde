// take_items: part[r, i] = whole[r, first + i], words as they are: rows of a micro-batch out of those of the whole batch
//
//   whole     u32[rows, all]  read
//   schedule  u32[8]          read    word 5: first item
//   part      u32[rows, n]    write
//
// One invocation per row and item. Twin: src/kernels/train/take_items.rs.

struct TakeItems {
    rows: u32,
    n: u32,
    all: u32,
}

@group(0) @binding(0) var<uniform> p: TakeItems;
@group(0) @binding(1) var<storage, read> whole: array<u32>;
@group(0) @binding(2) var<storage, read> schedule: array<u32>;
@group(0) @binding(3) var<storage, read_write> part: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.n { return; }
    part[id.y * p.n + id.x] = whole[id.y * p.all + schedule[5] + id.x];
}
