// prelu_pool: y[n,c,i,j] = max of prelu_c(z[n,c,2i .. 2i + K, 2j .. 2j + K]), ceil mode: only existing
// elements count (spec 2, 8)
//
//   z       f32[n, c, z_h, z_w]  read   pre-activations
//   slope   f32[c]               read   prelu(v) = v > 0 ? v : slope * v
//   y       f32[n, c, y_h, y_w]  write  every element written once
//   best    f32[n, c, y_h, y_w]  write  pre-activation of the window's first maximum in raster order
//   places  u32[n, c, y_h, y_w]  write  its number in the window, row by row; both for `prelu_pool_backward`
//
// One invocation per item and output element, channels along y. Twin: src/kernels/nn/prelu_pool.rs.

override K: u32;

struct PreluPool {
    n: u32,
    c: u32,
    k: u32,
    z_h: u32,
    z_w: u32,
    y_h: u32,
    y_w: u32,
}

// The first maximum of some elements; its number as a float, since GLSL ES selects no integers.
struct First { y: f32, z: f32, place: f32 }

@group(0) @binding(0) var<uniform> p: PreluPool;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> best: array<f32>;
@group(0) @binding(5) var<storage, read_write> places: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let plane = p.y_h * p.y_w;
    let item = id.x / plane;
    if item >= p.n { return; }
    let window = id.x % plane;
    let origin = (item * p.c + id.y) * p.z_h * p.z_w;
    let a = slope[id.y];
    // Beyond the last row or column the last one is looked at again, of which nothing is larger than before.
    let rows = origin + min(vec3u(window / p.y_w * 2u) + vec3u(0u, 1u, 2u), vec3u(p.z_h - 1u)) * p.z_w;
    let columns = min(vec3u(window % p.y_w * 2u) + vec3u(0u, 1u, 2u), vec3u(p.z_w - 1u));
    let v = z[rows.x + columns.x];
    var first = row(First(prelu(v, a), v, 0.0), rows.x, columns, a, 0.0);
    first = row(first, rows.y, columns, a, f32(K));
    if K > 2u { first = row(first, rows.z, columns, a, 6.0); }
    let at = (item * p.c + id.y) * plane + window;
    y[at] = first.y;
    best[at] = first.z;
    places[at] = u32(first.place);
}

// The first maximum of those before and of a row whose first element is number `place`.
fn row(before: First, at: u32, columns: vec3u, a: f32, place: f32) -> First {
    var first = larger(before, z[at + columns.x], a, place);
    first = larger(first, z[at + columns.y], a, place + 1.0);
    if K > 2u { first = larger(first, z[at + columns.z], a, place + 2.0); }
    return first;
}

fn larger(first: First, v: f32, a: f32, place: f32) -> First {
    let y = prelu(v, a);
    let above = y > first.y;
    return First(select(first.y, y, above), select(first.z, v, above), select(first.place, place, above));
}

fn prelu(v: f32, a: f32) -> f32 {
    return select(a * v, v, v > 0.0);
}
