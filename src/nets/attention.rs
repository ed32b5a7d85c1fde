//! Attention-based feature decomposition: what of a face's features tells its age, and what its identity
//! (section 3 of the recognition reference; Huang, Zhang and Shan 2021).

use super::graph::{Graph, NodeId};
use super::heads::linear;
use super::ir::{convolution, normalized};
use super::layer::{
    ActivationLayer, AddLayer, ArgMaxPoolLayer, ChannelPoolLayer, JoinLayer, Layer, MeanPoolLayer, MultiplyLayer, NormLayer, PoolWindows,
    ScaleLayer, Statistics,
};
use crate::kernels::nn::Broadcast;
use crate::tensor::ShapeError;

/// Features decomposed, `identity + age = x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decomposed {
    /// Features of the identity, in the shape of `x`.
    pub identity: NodeId,
    /// Features of the age, in the shape of `x`.
    pub age: NodeId,
}

/// Adds the decomposition of the features `x`, `[n, c, h, w]`: `age = x (a + b) / 2` and
/// `identity = x - age`, where `a` weighs channels and `b` places, both between 0 and 1. Tensors are called
/// `<name>.{fc1, fc2, channel_bn, spatial, spatial_bn}`.
///
/// # Errors
///
/// [`ShapeError`] if `x` has fewer than two channels or is too large to index.
pub fn decompose(g: &mut Graph, name: &str, x: NodeId, statistics: Statistics) -> Result<Decomposed, ShapeError> {
    let momentum = NormLayer { momentum: 0.01, ..NormLayer::new(statistics) };
    let c = g.node(x).shape.c();
    let means = binned(g, x, |windows| MeanPoolLayer(windows).into())?;
    let maxima = binned(g, x, |windows| ArgMaxPoolLayer(windows).into())?;
    let both = g.add(AddLayer, &[means, maxima])?;
    let hidden = linear(g, &format!("{name}.fc1"), both, c * 14 / 16, false)?;
    let hidden = g.add(ActivationLayer::RELU, &[hidden])?;
    let channels = linear(g, &format!("{name}.fc2"), hidden, c, false)?;
    let channels = normalized(g, &format!("{name}.channel_bn"), channels, None, momentum)?;
    let channels = g.add(ActivationLayer::Sigmoid, &[channels])?;
    let places = g.add(ChannelPoolLayer, &[x])?;
    let places = convolution(g, &format!("{name}.spatial"), places, 1, 7, 1)?;
    let places = normalized(g, &format!("{name}.spatial_bn"), places, None, momentum)?;
    let places = g.add(ActivationLayer::Sigmoid, &[places])?;
    let by_channel = g.add(MultiplyLayer { over: Broadcast::Channels }, &[x, channels])?;
    let by_place = g.add(MultiplyLayer { over: Broadcast::Places }, &[x, places])?;
    let twice = g.add(AddLayer, &[by_channel, by_place])?;
    let age = g.add(ScaleLayer { forward: 0.5, backward: 0.5 }, &[twice])?;
    let minus = g.add(ScaleLayer { forward: -1.0, backward: -1.0 }, &[age])?;
    Ok(Decomposed { identity: g.add(AddLayer, &[x, minus])?, age })
}

/// Adds pools of 1, 2 x 2 and 3 x 3 bins, as one vector of 14 elements a channel.
fn binned(g: &mut Graph, x: NodeId, pool: impl Fn(PoolWindows) -> Layer) -> Result<NodeId, ShapeError> {
    let [one, four, nine] = [1, 2, 3].map(|bins| g.add(pool(PoolWindows::Adaptive { bins }), &[x]));
    let five = g.add(JoinLayer, &[one?, four?])?;
    g.add(JoinLayer, &[five, nine?])
}
