// Normalization of a channel with its scale, shift and PReLU, as written by nn/channel_affine.

struct Affine {
    mean: f32,
    inverse: f32, // 1 / sqrt(variance + epsilon)
    scale: f32,
    shift: f32,
    slope: f32,
}

fn normalized(a: Affine, x: f32) -> f32 { return (x - a.mean) * a.inverse; }

// Returns the input of PReLU.
fn scaled(a: Affine, normal: f32) -> f32 { return normal * a.scale + a.shift; }
