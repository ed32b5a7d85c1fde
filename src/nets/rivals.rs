//! The nets that ours are compared with: 12-, 24- and 48-Net of the cascade by Li et al., CVPR 2015 (spec section 5).
//!
//! Made of the same layers as ours, so that a comparison of speed compares nets and not programs.

use super::graph::NodeId;
use super::layer::{HalveLayer, JoinLayer, LrnLayer, MaxPoolLayer};
use super::net::{Blocks, Net, Nonlinearity};
use crate::tensor::ShapeError;

const CLASS: &[(&str, u32)] = &[("class", 2)];

/// Input `[n, 3, 12, 12]`; output `[n, 2]`: background and face logit.
pub const NET12: Net = Net { name: "net12", side: 12, activation: Nonlinearity::Relu, trunk: net12, heads: CLASS };

/// Input `[n, 3, 24, 24]`; output `[n, 2]`.
pub const NET24: Net = Net { name: "net24", side: 24, trunk: net24, ..NET12 };

/// [`NET24`] with the features of [`NET12`] on the same crop at half the size.
pub const NET24_WITH_12: Net = Net { name: "net24b", trunk: net24_with_12, ..NET24 };

/// Input `[n, 3, 48, 48]`; output `[n, 2]`.
pub const NET48: Net = Net { name: "net48", side: 48, trunk: net48, ..NET12 };

/// [`NET48`] with the features of [`NET24_WITH_12`] on the same crop at half the size.
pub const NET48_WITH_24: Net = Net { name: "net48b", trunk: net48_with_24, ..NET48 };

fn net12(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 3, 16, 3)?;
    b.dense(x, "fc2", 16)
}

fn net24(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 5, 64, 3)?;
    b.dense(x, "fc2", 128)
}

fn net48(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    let x = b.conv_pool(x, "conv1", 5, 64, 3)?;
    let x = b.graph.add(LrnLayer, &[x])?;
    let x = b.conv(x, "conv2", 5, 64)?;
    let x = b.graph.add(LrnLayer, &[x])?;
    let x = b.graph.add(MaxPoolLayer { k: 3 }, &[x])?;
    b.dense(x, "fc3", 256)
}

/// What `ours` makes of a crop, and what `theirs` makes of it at half the size.
fn joined(b: &mut Blocks<'_>, x: NodeId, ours: Trunk, theirs: Net) -> Result<NodeId, ShapeError> {
    let own = ours(b, x)?;
    let half = b.graph.add(HalveLayer, &[x])?;
    let theirs = b.trunk_of(theirs, half)?;
    b.graph.add(JoinLayer, &[own, theirs])
}

type Trunk = fn(&mut Blocks<'_>, NodeId) -> Result<NodeId, ShapeError>;

fn net24_with_12(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    joined(b, x, net24, NET12)
}

fn net48_with_24(b: &mut Blocks<'_>, x: NodeId) -> Result<NodeId, ShapeError> {
    joined(b, x, net48, NET24_WITH_12)
}
