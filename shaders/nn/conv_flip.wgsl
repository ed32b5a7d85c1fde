// conv_flip: flipped[c / 16, o, u, v, c % 16] = weight[o / 16, c, K - 1 - u, K - 1 - v, o % 16],
// zero beyond `c` (spec 8: the gradient of the input is a convolution with the mirrored kernel, inputs and
// outputs swapped)
//
//   weight   f32[ceil(out / 16), c, k, k, 16]  read
//   flipped  f32[ceil(c / 16), out, k, k, 16]  write   every element written once
//
// One invocation per element, output channels along y. Twin: src/kernels/nn/conv_flip.rs.

struct ConvFlip {
    c: u32,
    out: u32,
    k: u32,
}

@group(0) @binding(0) var<uniform> p: ConvFlip;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> flipped: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    let taps = p.k * p.k;
    let group = id.x / (taps * 16u);
    if group >= (p.c + 15u) / 16u { return; }
    let o = id.y;
    let tap = id.x / 16u % taps;
    let c = group * 16u + id.x % 16u;
    let place = ((o / 16u * p.c + min(c, p.c - 1u)) * taps + taps - 1u - tap) * 16u + o % 16u;
    flipped[((group * p.out + o) * taps + tap) * 16u + id.x % 16u] = select(0.0, weight[place], c < p.c);
}
