// join: y[n] = a[n] followed by b[n]: features of two nets, or channels of two activations, side by side
//
//   a  f32[n, left]          read
//   b  f32[n, right]         read
//   y  f32[n, left + right]  write  every element written once
//
// One invocation per element. Twin: src/kernels/nn/join.rs. Snippets: grid.

struct Join {
    n: u32,
    left: u32,  // elements of an item of a
    right: u32, // elements of an item of b
}

@group(0) @binding(0) var<uniform> p: Join;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let both = p.left + p.right;
    let at = flat_invocation(id, 64u);
    let item = at / both;
    if item >= p.n { return; }
    let i = at % both;
    if i < p.left {
        y[at] = a[item * p.left + i];
    } else {
        y[at] = b[item * p.right + i - p.left];
    }
}
