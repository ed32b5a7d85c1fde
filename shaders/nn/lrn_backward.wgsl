// lrn_backward: dx[n,c,i] += dy[n,c,i] s[c]^-0.75
// - 1.5 a x[n,c,i] sum over the 9 channels c' around c of dy[n,c',i] x[n,c',i] s[c']^-1.75, where
// s[c] = 1 + a * sum of x[n,c',i]^2 over the same channels, a = 1e-4 / 9 (spec section 5)
//
//   x   f32[n, c, plane]  read
//   dy  f32[n, c, plane]  read
//   dx  f32[n, c, plane]  update  every element added to once
//
// One invocation per item and position, channels along y, like `lrn`. Twin: src/kernels/nn/lrn_backward.rs.
// Snippets: lrn.

struct LrnBackward {
    n: u32,
    c: u32,
    plane: u32, // h * w, elements
}

@group(0) @binding(0) var<uniform> p: LrnBackward;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let item = id.x / p.plane;
    if item >= p.n { return; }
    let first = item * p.c * p.plane + id.x % p.plane;
    let at = first + id.y * p.plane;
    var through = 0.0;
    for (var c = max(id.y, REACH) - REACH; c < min(id.y + REACH + 1u, p.c); c++) {
        let root = inverse_root(first, c);
        let other = first + c * p.plane;
        through += dy[other] * x[other] * root * root * root * sqrt(root);
    }
    let root = inverse_root(first, id.y);
    dx[at] += dy[at] * root * sqrt(root) - 1.5 * ALPHA * x[at] * through;
}
