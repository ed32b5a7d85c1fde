//! O-Net: rejects, refines and places landmarks in crops of 48 px (spec section 2.3).

use super::layer::Layer::{Conv, Dense, Heads, MaxPool};
use super::layer::{Activation, Net};

/// Input `[n, 3, 48, 48]`; output `[n, 16]`: background and face logit, `dx1, dy1, dx2, dy2`, `x0..x4`, `y0..y4`.
pub const ONET: Net = Net {
    name: "onet",
    side: 48,
    activation: Activation::PRelu,
    branch: None,
    layers: &[
        Conv { name: "conv1", k: 3, out: 32 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv2", k: 3, out: 64 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv3", k: 3, out: 64 },
        MaxPool { k: 2, stride: 2 },
        Conv { name: "conv4", k: 2, out: 128 },
        Dense { name: "fc5", out: 256 },
        Heads(&[("class", 2), ("box", 4), ("landmarks", 10)]),
    ],
};
