//! P-Net: fully convolutional, proposes windows of 12 px, one every 2 px (spec section 2.1).

use super::layer::Layer::{Conv, Heads, MaxPool};
use super::layer::{Activation, Layer, Net};

/// Input `[1, 3, pyramid]`; output `[1, 6, cells]`: background and face logit, then `dx1, dy1, dx2, dy2`.
pub const PNET: Net = Net { name: "pnet", side: 12, activation: Activation::PRelu, layers: &LAYERS, branch: None };

/// The same with landmarks as a third head: only training has it, where the task helps the others (spec section 4.3). Output
/// `[n, 16]`, as of O-Net.
pub const PNET_WITH_LANDMARKS: Net = Net { layers: &LAYERS_WITH_LANDMARKS, ..PNET };

const LAYERS: [Layer; 5] = layers(&[("class", 2), ("box", 4)]);
const LAYERS_WITH_LANDMARKS: [Layer; 5] = layers(&[("class", 2), ("box", 4), ("landmarks", 10)]);

const fn layers(heads: &'static [(&'static str, u32)]) -> [Layer; 5] {
    [
        Conv { name: "conv1", k: 3, out: 10 },
        MaxPool { k: 2, stride: 2 },
        Conv { name: "conv2", k: 3, out: 16 },
        Conv { name: "conv3", k: 3, out: 32 },
        Heads(heads),
    ]
}
