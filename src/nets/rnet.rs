//! R-Net: rejects and refines crops of 24 px (spec section 2.2).

use super::layer::Layer::{Conv, Dense, Heads, MaxPool};
use super::layer::{Activation, Layer, Net};

/// Input `[n, 3, 24, 24]`; output `[n, 6]`: background and face logit, then `dx1, dy1, dx2, dy2`.
pub const RNET: Net = Net { name: "rnet", side: 24, activation: Activation::PRelu, layers: &LAYERS, branch: None };

/// The same with landmarks as a third head: only training has it, where the task helps the others (spec section 4.3). Output
/// `[n, 16]`, as of O-Net.
pub const RNET_WITH_LANDMARKS: Net = Net { layers: &LAYERS_WITH_LANDMARKS, ..RNET };

const LAYERS: [Layer; 7] = layers(&[("class", 2), ("box", 4)]);
const LAYERS_WITH_LANDMARKS: [Layer; 7] = layers(&[("class", 2), ("box", 4), ("landmarks", 10)]);

const fn layers(heads: &'static [(&'static str, u32)]) -> [Layer; 7] {
    [
        Conv { name: "conv1", k: 3, out: 28 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv2", k: 3, out: 48 },
        MaxPool { k: 3, stride: 2 },
        Conv { name: "conv3", k: 2, out: 64 },
        Dense { name: "fc4", out: 128 },
        Heads(heads),
    ]
}
