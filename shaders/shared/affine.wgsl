// Normalization of a channel with its scale, shift and PReLU, as nn/channel_affine writes it.

struct Affine {
    mean: f32,
    inverse: f32, // 1 / sqrt(variance + epsilon)
    scale: f32,
    shift: f32,
    slope: f32,
}

fn normalized(a: Affine, x: f32) -> f32 { return (x - a.mean) * a.inverse; }

// What goes into PReLU.
fn scaled(a: Affine, normal: f32) -> f32 { return normal * a.scale + a.shift; }
