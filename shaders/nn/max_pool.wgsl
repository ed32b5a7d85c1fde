// max_pool: y[n,c,i,j] = max of x[n,c,i s .. i s + k, j s .. j s + k], ceil mode: a window may stick out, only existing elements count (spec 2)
//
//   x       f32[n, c, x_plane]   read
//   levels  Level[levels]        read   one tile per output element
//   y       f32[n, c, y_plane]   write  every element written once
//
// One invocation per item and output element, channels along y. Twin: src/kernels/nn/max_pool.rs. Snippets: levels.

struct MaxPool {
    n: u32,
    c: u32,
    k: u32,
    stride: u32,
    x_plane: u32,
    y_plane: u32,
    levels: u32,
}

@group(0) @binding(0) var<uniform> p: MaxPool;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<Level>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.y_plane;
    if item >= p.n { return; }
    let tile = id.x % p.y_plane;
    let level = level_of(tile, p.levels);
    let row = (tile - level.tile) / level.columns * p.stride;
    let column = (tile - level.tile) % level.columns * p.stride;
    let plane = (item * p.c + id.y) * p.x_plane + level.x;
    var best = x[plane + row * level.x_w + column];
    for (var i = row; i < min(row + p.k, level.x_h); i++) {
        for (var j = column; j < min(column + p.k, level.x_w); j++) {
            best = max(best, x[plane + i * level.x_w + j]);
        }
    }
    y[(item * p.c + id.y) * p.y_plane + tile] = best;
}
