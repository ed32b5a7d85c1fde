// prelu_pool_backward: dz[n,c,a,b] = prelu_c'(z) * sum of dy over the windows whose first maximum in raster order is at a, b;
// dslope[s,c] = sum over slab s of min(z, 0) * that sum (spec 8)
//
//   z       f32[n, c, z_h, z_w]  read   pre-activations
//   slope   f32[c]               read
//   dy      f32[n, c, y_h, y_w]  read
//   dz      f32[n, c, z_h, z_w]  write  every element written once
//   dslope  f32[slabs, c]        write  partial sums, for `reduce`
//
// A gather over blocks of 2 x 2 elements, which at most four windows cover: those that start at the block and at the blocks above and to
// the left. One invocation per slab (a column of blocks of `items` items) and channel. Twin: src/kernels/nn/prelu_pool_backward.rs.

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

// Five neighbours of a row, activated: the two before the block, its own, and the one behind. Absent ones win nothing.
struct Row { left: vec2f, own: vec2f, behind: f32 }
// Two neighbouring windows: their first maximum, where it is (row by row of three; GLSL ES selects no integers), and their gradient.
struct Windows { best: vec2f, at: vec2f, dy: vec2f }

@group(0) @binding(0) var<uniform> p: PreluPoolBackward;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> dz: array<f32>;
@group(0) @binding(5) var<storage, read_write> dslope: array<f32>;

const ABSENT: f32 = -0x1.fffffep+127;

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
        var above = Windows(vec2f(0.0), vec2f(0.0), vec2f(0.0));
        var row = load(plane, 0u, block, a);
        for (var i = 0u; i < (p.z_h + 1u) / 2u; i++) {
            let next = load(plane, 2u * i + 1u, block, a);
            let last = load(plane, 2u * i + 2u, block, a);
            let here = windows(plane, i, block, row, next, last);
            let d = shares(above, here);
            sum += write(plane, 2u * i, block, d.xy, a) + write(plane, 2u * i + 1u, block, d.zw, a);
            above = here;
            row = last;
        }
    }
    dslope[id.x * p.c + id.y] = sum;
}

fn load(plane: u32, i: u32, block: u32, a: f32) -> Row {
    let at = (plane * p.z_h + min(i, p.z_h - 1u)) * p.z_w;
    let j = vec4u(2u * block - 2u) + vec4u(0u, 1u, 2u, 3u);
    let k = min(j, vec4u(p.z_w - 1u));
    let v = vec4f(z[at + k.x], z[at + k.y], z[at + k.z], z[at + k.w]);
    let inside = (j < vec4u(p.z_w)) & vec4<bool>(i < p.z_h);
    let y = select(vec4f(ABSENT), select(a * v, v, v > vec4f(0.0)), inside);
    let e = z[at + min(2u * block + 2u, p.z_w - 1u)];
    return Row(y.xy, y.zw, select(ABSENT, select(a * e, e, e > 0.0), i < p.z_h && 2u * block + 2u < p.z_w));
}

// The windows of row `i` that start at the block to the left and at this one.
fn windows(plane: u32, i: u32, block: u32, r0: Row, r1: Row, r2: Row) -> Windows {
    var w = Windows(vec2f(r0.left.x, r0.own.x), vec2f(0.0), vec2f(0.0));
    w = larger(w, vec2f(r0.left.y, r0.own.y), 1.0);
    if K > 2u { w = larger(w, vec2f(r0.own.x, r0.behind), 2.0); }
    w = larger(w, vec2f(r1.left.x, r1.own.x), 3.0);
    w = larger(w, vec2f(r1.left.y, r1.own.y), 4.0);
    if K > 2u {
        w = larger(w, vec2f(r1.own.x, r1.behind), 5.0);
        w = larger(w, vec2f(r2.left.x, r2.own.x), 6.0);
        w = larger(w, vec2f(r2.left.y, r2.own.y), 7.0);
        w = larger(w, vec2f(r2.own.x, r2.behind), 8.0);
    }
    let j = vec2u(block - 1u, block);
    let place = (plane * p.y_h + min(i, p.y_h - 1u)) * p.y_w + min(j, vec2u(p.y_w - 1u));
    let there = (j < vec2u(p.y_w)) & vec2<bool>(i < p.y_h);
    w.dy = select(vec2f(0.0), vec2f(dy[place.x], dy[place.y]), there);
    return w;
}

fn larger(w: Windows, v: vec2f, at: f32) -> Windows {
    return Windows(select(w.best, v, v > w.best), select(w.at, vec2f(at), v > w.best), w.dy);
}

// What each element of the block gets.
fn shares(above: Windows, here: Windows) -> vec4f {
    let own = select(vec4f(0.0), vec4f(here.dy.y), vec4f(here.at.y) == vec4f(0.0, 1.0, 3.0, 4.0));
    let left = select(vec2f(0.0), vec2f(here.dy.x), vec2f(here.at.x) == vec2f(2.0, 5.0));
    let top = select(vec2f(0.0), vec2f(above.dy.y), vec2f(above.at.y) == vec2f(6.0, 7.0));
    let corner = select(0.0, above.dy.x, above.at.x == 8.0);
    return vec4f(corner + top.x + left.x + own.x, top.y + own.y, left.y + own.z, own.w);
}

// Writes two neighbours of the block's row `i` and returns their part of the slope's gradient.
fn write(plane: u32, i: u32, block: u32, d: vec2f, a: f32) -> f32 {
    if i >= p.z_h { return 0.0; }
    let at = (plane * p.z_h + i) * p.z_w + 2u * block;
    let v = z[at];
    dz[at] = select(a * d.x, d.x, v > 0.0);
    let first = select(v * d.x, 0.0, v > 0.0);
    if 2u * block + 1u >= p.z_w { return first; }
    let w = z[at + 1u];
    dz[at + 1u] = select(a * d.y, d.y, w > 0.0);
    return first + select(w * d.y, 0.0, w > 0.0);
}
