// batch_norm_sums: of each channel and slab the sums that its gradients are made of: of dz, of dz * normal,
// of dy * min(z, 0); where normal = (x - mean) * inverse, z = normal * scale + shift and
// dz = dy * (z > 0 ? 1 : slope)
//
//   x        f32[n, c, plane]  read
//   dy       f32[n, c, plane]  read
//   affine   Affine[c]         read   by `channel_affine`
//   partial  f32[c, 3, slabs]  write  for `batch_norm_gradients`
//
// One invocation per slab and channel; a slab is every `slabs`-th place of the channel, all items end to end,
// so that neighbours read neighbours. Twin: src/kernels/nn/batch_norm_sums.rs. Snippets: affine.

struct BatchNormSums {
    n: u32,
    c: u32,
    plane: u32,
    slabs: u32,
}

@group(0) @binding(0) var<uniform> p: BatchNormSums;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> affine: array<Affine>;
@group(0) @binding(4) var<storage, read_write> partial: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) {
    if id.x >= p.slabs { return; }
    let a = affine[id.y];
    var shift = 0.0;
    var scale = 0.0;
    var slope = 0.0;
    for (var place = id.x; place < p.n * p.plane; place += p.slabs) {
        let i = (place / p.plane * p.c + id.y) * p.plane + place % p.plane;
        let d = dy[i];
        let normal = normalized(a, x[i]);
        let z = scaled(a, normal);
        let dz = select(a.slope * d, d, z > 0.0);
        shift += dz;
        scale += dz * normal;
        slope += select(z * d, 0.0, z > 0.0);
    }
    let at = 3u * id.y * p.slabs + id.x;
    partial[at] = shift;
    partial[at + p.slabs] = scale;
    partial[at + 2u * p.slabs] = slope;
}
