//! P-Net: fully convolutional, proposes windows of 12 px, one every 2 px (spec section 2.1).

use super::layer::Layer::{Conv, Heads, MaxPool};
use super::layer::{Activation, Net};

/// Input `[1, 3, pyramid]`; output `[1, 6, cells]`: background and face logit, then `dx1, dy1, dx2, dy2`.
pub const PNET: Net = Net {
    name: "pnet",
    side: 12,
    activation: Activation::PRelu,
    branch: None,
    layers: &[
        Conv { name: "conv1", k: 3, out: 10 },
        MaxPool { k: 2, stride: 2 },
        Conv { name: "conv2", k: 3, out: 16 },
        Conv { name: "conv3", k: 3, out: 32 },
        Heads(&[("class", 2), ("box", 4)]),
    ],
};
