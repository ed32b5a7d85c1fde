//! R-Net: rejects and refines crops of 24 px (spec section 2.2).

use super::layer::Layer::{Conv, Dense, Heads, MaxPool};
use super::layer::{Activation, Net};

/// Input `[n, 3, 24, 24]`; output `[n, 6]`: background and face logit, then `dx1, dy1, dx2, dy2`.
pub const RNET: Net = Net {
    name: "rnet",
    side: 24,
    activation: Activation::PRelu,
    branch: None,
    layers: &[
        Conv { name: "conv1", k: 3, out: 28 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv2", k: 3, out: 48 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv3", k: 2, out: 64 },
        Dense { name: "fc4", out: 128 },
        Heads(&[("class", 2), ("box", 4)]),
    ],
};
