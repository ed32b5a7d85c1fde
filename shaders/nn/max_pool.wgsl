// max_pool: y[n,c,i,j] = max of x[n,c, 2 i .. 2 i + K, 2 j .. 2 j + K], ceil mode: a window may extend past
// the edge, where only existing elements count (spec 2)
//
//   x       f32[n, c, x_plane]   read
//   levels  Level[levels]        read   tiles of 2 x 2 outputs
//   y       f32[n, c, y_plane]   write  every element written once
//
// K is 2 or 3. One invocation per item and tile, channels along y. Twin: src/kernels/nn/max_pool.rs.
// Snippets: levels, walk.

override K: u32;

struct MaxPool {
    n: u32,
    c: u32,
    k: u32,
    x_plane: u32,
    y_plane: u32,
    levels: u32,
    tiles: u32, // per item, all levels
}

@group(0) @binding(0) var<uniform> p: MaxPool;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> levels: array<Level>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Returns the maxima of the two windows in the row at `at`.
fn row(at: u32, j: vec4u, last: u32) -> vec2f {
    let left = max(x[at + j.x], x[at + j.y]);
    let right = max(x[at + j.z], x[at + j.w]);
    if K == 2u { return vec2f(left, right); }
    return vec2f(max(left, x[at + j.z]), max(right, x[at + last]));
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) workgroup: vec3u) {
    for (var at = workgroup.x * 64u; at < p.n * p.tiles; at += WALKERS * 64u) { block(at + lane, workgroup.y); }
}

// Computes tile number `index` of all items in a channel.
fn block(index: u32, channel: u32) {
    let item = index / p.tiles;
    if item >= p.n { return; }
    let tile = index % p.tiles;
    let level = level_of(tile, p.levels);
    let i = (tile - level.tile) / level.columns * 2u;
    let j = (tile - level.tile) % level.columns * 2u;
    // Positions outside the level are clamped, which repeats an element of the window; windows outside the
    // level are dropped below.
    let rows = min(vec4u(2u * i) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_h - 1u)) * level.x_w;
    let columns = min(vec4u(2u * j) + vec4u(0u, 1u, 2u, 3u), vec4u(level.x_w - 1u));
    let last = min(2u * j + 4u, level.x_w - 1u);
    let plane = (item * p.c + channel) * p.x_plane + level.x;
    let middle = row(plane + rows.z, columns, last);
    var top = max(row(plane + rows.x, columns, last), row(plane + rows.y, columns, last));
    var bottom = max(middle, row(plane + rows.w, columns, last));
    if K == 3u {
        top = max(top, middle);
        bottom = max(bottom, row(plane + min(2u * i + 4u, level.x_h - 1u) * level.x_w, columns, last));
    }
    let at = (item * p.c + channel) * p.y_plane + level.y + i * level.y_w + j;
    let wide = j + 1u < level.y_w;
    y[at] = top.x;
    if wide { y[at + 1u] = top.y; }
    if i + 1u >= level.y_h { return; }
    y[at + level.y_w] = bottom.x;
    if wide { y[at + level.y_w + 1u] = bottom.y; }
}
