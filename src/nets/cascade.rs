//! The three nets of the cascade (spec section 2).

use super::graph::NodeId;
use super::net::{Blocks, Net, Nonlinearity};
use crate::tensor::ShapeError;

/// Heads of R- and P-Net as the cascade uses them.
const HEADS: &[(&str, u32)] = &[("class", 2), ("box", 4)];
/// Heads of O-Net, and of the others in training, where landmarks help the other tasks (spec section 4.3).
const WITH_LANDMARKS: &[(&str, u32)] = &[("class", 2), ("box", 4), ("landmarks", 10)];

/// Fully convolutional, proposes windows of 12 px, one every 2 px (spec section 2.1). Input `[1, 3, pyramid]`; output `[1, 6, cells]`:
/// background and face logit, then `dx1, dy1, dx2, dy2`.
pub const PNET: Net = Net { name: "pnet", side: 12, activation: Nonlinearity::PRelu, trunk: pnet, heads: HEADS };

/// The same with landmarks as a third head. Output `[n, 16]`, as of O-Net.
pub const PNET_WITH_LANDMARKS: Net = Net { heads: WITH_LANDMARKS, ..PNET };

/// Refines P-Net's windows (spec section 2.2). Input `[n, 3, 24, 24]`; output `[n, 6]`: background and face logit, then
/// `dx1, dy1, dx2, dy2`.
pub const RNET: Net = Net { name: "rnet", side: 24, activation: Nonlinearity::PRelu, trunk: rnet, heads: HEADS };

/// The same with landmarks as a third head. Output `[n, 16]`, as of O-Net.
pub const RNET_WITH_LANDMARKS: Net = Net { heads: WITH_LANDMARKS, ..RNET };

/// Refines windows once more and finds landmarks (spec section 2.3). Input `[n, 3, 48, 48]`; output `[n, 16]`: background and face logit,
/// `dx1, dy1, dx2, dy2`, `x0..x4`, `y0..y4`.
pub const ONET: Net = Net { name: "onet", side: 48, activation: Nonlinearity::PRelu, trunk: onet, heads: WITH_LANDMARKS };

fn pnet(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 3, 10, 2)?;
    let x = b.conv(x, "conv2", 3, 16)?;
    b.conv(x, "conv3", 3, 32)
}

fn rnet(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 3, 28, 3)?;
    let x = b.conv_pool(x, "conv2", 3, 48, 3)?;
    let x = b.conv(x, "conv3", 2, 64)?;
    b.dense(x, "fc4", 128)
}

fn onet(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 3, 32, 3)?;
    let x = b.conv_pool(x, "conv2", 3, 64, 3)?;
    let x = b.conv_pool(x, "conv3", 3, 64, 2)?;
    let x = b.conv(x, "conv4", 2, 128)?;
    b.dense(x, "fc5", 256)
}
