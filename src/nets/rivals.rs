//! The nets that ours are compared with: 12-, 24- and 48-Net of the cascade by Li et al., CVPR 2015 (spec section 5).
//!
//! Made of the same layers as ours, so that a comparison of speed compares nets and not programs.

use super::layer::Layer::{Conv, Dense, Heads, Lrn, MaxPool};
use super::layer::{Activation, Net};

const RIVAL: Net = Net { name: "", side: 0, activation: Activation::Relu, layers: &[], branch: None };

/// Input `[n, 3, 12, 12]`; output `[n, 2]`: background and face logit.
pub const NET12: Net = Net {
    name: "net12",
    side: 12,
    layers: &[Conv { name: "conv1", k: 3, out: 16 }, MaxPool { k: 3, stride: 2 }, Dense { name: "fc2", out: 16 }, Heads(&[("class", 2)])],
    ..RIVAL
};

/// Input `[n, 3, 24, 24]`; output `[n, 2]`.
pub const NET24: Net = Net {
    name: "net24",
    side: 24,
    layers: &[Conv { name: "conv1", k: 5, out: 64 }, MaxPool { k: 3, stride: 2 }, Dense { name: "fc2", out: 128 }, Heads(&[("class", 2)])],
    ..RIVAL
};

/// [`NET24`] with the features of [`NET12`] on the same crop at half the size.
pub const NET24_WITH_12: Net = Net { name: "net24b", branch: Some(&NET12), ..NET24 };

/// Input `[n, 3, 48, 48]`; output `[n, 2]`.
pub const NET48: Net = Net {
    name: "net48",
    side: 48,
    layers: &[
        Conv { name: "conv1", k: 5, out: 64 },
        MaxPool { k: 3, stride: 2 },
        Lrn,
        Conv { name: "conv2", k: 5, out: 64 },
        Lrn,
        MaxPool { k: 3, stride: 2 },
        Dense { name: "fc3", out: 256 },
        Heads(&[("class", 2)]),
    ],
    ..RIVAL
};

/// [`NET48`] with the features of [`NET24_WITH_12`] on the same crop at half the size.
pub const NET48_WITH_24: Net = Net { name: "net48b", branch: Some(&NET24_WITH_12), ..NET48 };
