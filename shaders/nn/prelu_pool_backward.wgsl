// prelu_pool_backward: dz[n,c,a,b] = prelu_c'(best) * sum of dy over the windows whose first maximum in
// raster order is at a, b; dslope[s,c] = sum over the windows of slab s of min(best, 0) * dy (spec 8)
//
//   best    f32[n, c, y_h, y_w]  read   pre-activation of the window's first maximum
//   places  u32[n, c, y_h, y_w]  read   its number in the window, row by row; both by `prelu_pool`
//   slope   f32[c]               read
//   dy      f32[n, c, y_h, y_w]  read
//   dz      f32[n, c, z_h, z_w]  write  every element written once
//   dslope  f32[slabs, c]        write  partial sums, for `reduce`
//
// A gather over blocks of 2 x 2 elements, which at most four windows cover: those that start at the block and
// at the blocks above and to the left. One invocation per slab (a column of blocks of `items` items) and
// channel. Twin: src/kernels/nn/prelu_pool_backward.rs.

override K: u32;

struct PreluPoolBackward {
    n: u32,
    c: u32,
    k: u32, // 2 or 3
    items: u32,
    z_h: u32,
    z_w: u32,
    y_h: u32,
    y_w: u32,
}

// The windows of a row that start at the block to the left and at this one: where their first maxima are;
// their gradients, if PReLU passes them as they are and if its slope is for them, 0 otherwise; and what the
// second adds to the slope's gradient.
struct Windows { at: vec2u, whole: vec2f, sloped: vec2f, part: f32 }

@group(0) @binding(0) var<uniform> p: PreluPoolBackward;
@group(0) @binding(1) var<storage, read> best: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> slope: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<f32>;
@group(0) @binding(5) var<storage, read_write> dz: array<f32>;
@group(0) @binding(6) var<storage, read_write> dslope: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let columns = (p.z_w + 1u) / 2u;
    let first = id.x / columns * p.items;
    if first >= p.n { return; }
    let block = id.x % columns;
    let a = slope[id.y];
    var sum = 0.0;
    for (var item = first; item < min(first + p.items, p.n); item++) {
        let plane = item * p.c + id.y;
        var above = Windows(vec2u(0u), vec2f(0.0), vec2f(0.0), 0.0);
        for (var i = 0u; i < (p.z_h + 1u) / 2u; i++) {
            let here = windows(plane, i, block);
            // The windows of an element have one maximum, so that one of the two is 0.
            let d = shares(above.at, here.at, above.whole, here.whole) + a * shares(above.at, here.at, above.sloped, here.sloped);
            write(plane, 2u * i, block, d.xy);
            write(plane, 2u * i + 1u, block, d.zw);
            sum += here.part;
            above = here;
        }
    }
    dslope[id.x * p.c + id.y] = sum;
}

fn windows(plane: u32, i: u32, block: u32) -> Windows {
    let j = vec2u(block - 1u, block);
    let w = (plane * p.y_h + min(i, p.y_h - 1u)) * p.y_w + min(j, vec2u(p.y_w - 1u));
    let there = (j < vec2u(p.y_w)) & vec2<bool>(i < p.y_h);
    let z = vec2f(best[w.x], best[w.y]);
    let d = select(vec2f(0.0), vec2f(dy[w.x], dy[w.y]), there);
    let positive = z > vec2f(0.0);
    let sloped = select(d, vec2f(0.0), positive);
    return Windows(vec2u(places[w.x], places[w.y]), select(vec2f(0.0), d, positive), sloped, select(z.y * sloped.y, 0.0, positive.y));
}

// What each element of the block gets of the gradients of the windows above and of those of its own rows.
fn shares(above: vec2u, here: vec2u, top: vec2f, d: vec2f) -> vec4f {
    let own = select(vec4f(0.0), vec4f(d.y), vec4u(here.y) == vec4u(0u, 1u, K, K + 1u));
    if K < 3u { return own; }
    let left = select(vec2f(0.0), vec2f(d.x), vec2u(here.x) == vec2u(2u, 5u));
    let over = select(vec2f(0.0), vec2f(top.y), vec2u(above.y) == vec2u(6u, 7u));
    let corner = select(0.0, top.x, above.x == 8u);
    return vec4f(corner + over.x + left.x + own.x, over.y + own.y, left.y + own.z, own.w);
}

// Writes two neighbours of the block's row `i`.
fn write(plane: u32, i: u32, block: u32, d: vec2f) {
    if i >= p.z_h { return; }
    let at = (plane * p.z_h + i) * p.z_w + 2u * block;
    dz[at] = d.x;
    if 2u * block + 1u < p.z_w { dz[at + 1u] = d.y; }
}
