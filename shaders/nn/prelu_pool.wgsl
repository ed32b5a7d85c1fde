// prelu_pool: y[n,c,i,j] = max of prelu_c(z[n,c,2i .. 2i + K, 2j .. 2j + K]), ceil mode: only existing elements count (spec 2, 8)
//
//   z      f32[n, c, z_h, z_w]  read   pre-activations
//   slope  f32[c]               read   prelu(v) = v > 0 ? v : slope * v
//   y      f32[n, c, y_h, y_w]  write  every element written once
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

@group(0) @binding(0) var<uniform> p: PreluPool;
@group(0) @binding(1) var<storage, read> z: array<f32>;
@group(0) @binding(2) var<storage, read> slope: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let plane = p.y_h * p.y_w;
    let item = id.x / plane;
    if item >= p.n { return; }
    let place = id.x % plane;
    let first = (item * p.c + id.y) * p.z_h * p.z_w;
    let a = slope[id.y];
    // Beyond the last row or column the last one is looked at again.
    let rows = first + min(vec3u(place / p.y_w * 2u) + vec3u(0u, 1u, 2u), vec3u(p.z_h - 1u)) * p.z_w;
    let columns = min(vec3u(place % p.y_w * 2u) + vec3u(0u, 1u, 2u), vec3u(p.z_w - 1u));
    var best = max(row(rows.x, columns, a), row(rows.y, columns, a));
    if K > 2u { best = max(best, row(rows.z, columns, a)); }
    y[(item * p.c + id.y) * plane + place] = best;
}

// The largest of a row.
fn row(at: u32, columns: vec3u, a: f32) -> f32 {
    let best = max(prelu(z[at + columns.x], a), prelu(z[at + columns.y], a));
    if K > 2u { return max(best, prelu(z[at + columns.z], a)); }
    return best;
}

fn prelu(v: f32, a: f32) -> f32 {
    return select(a * v, v, v > 0.0);
}
