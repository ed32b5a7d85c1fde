//! [`Net`]: a net of the cascade or one that it is compared with, and how its graph is built.

use super::graph::{Graph, NodeId};
use super::layer::{ConvLayer, DenseLayer, PreluLayer, PreluPoolLayer};
use super::parameter::Initial;
use crate::record::{Named, Packing, State};
use crate::tensor::{Shape, ShapeError};
use crate::weights::WeightsError;

/// What follows convolutions and dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nonlinearity {
    /// With one learned slope per output.
    PRelu,
    /// `max(0, x)`.
    Relu,
}

/// A net.
#[derive(Debug, Clone, Copy)]
pub struct Net {
    /// First part of its tensors' names.
    pub name: &'static str,
    /// Side of the input it was trained on, px.
    pub side: u32,
    /// After every convolution and dense layer.
    pub activation: Nonlinearity,
    /// Adds all but the heads to a graph, over the picture `[n, 3, side, side]`.
    pub trunk: fn(&mut Blocks<'_>, NodeId) -> Result<NodeId, ShapeError>,
    /// Names and outputs of its heads, in the order of its outputs.
    pub heads: &'static [(&'static str, u32)],
}

/// Nets are told apart by their names and heads.
impl PartialEq for Net {
    fn eq(&self, other: &Self) -> bool {
        (self.name, self.heads) == (other.name, other.heads)
    }
}

/// Why a net cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The input is too small or too large.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// A net's graph.
#[derive(Debug, Clone)]
pub struct NetGraph {
    /// All nodes.
    pub graph: Graph,
    /// The picture.
    pub input: NodeId,
    /// What the heads are fed.
    pub trunk: NodeId,
    /// Outputs of the heads side by side.
    pub output: NodeId,
}

impl Net {
    /// Outputs of one item or cell.
    pub fn outputs(self) -> u32 {
        self.heads.iter().map(|(_, out)| out).sum()
    }

    /// Its graph for `n` items of the side it was trained on. A training pass drops the share `dropout` of hidden neurons.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the batch is too large to index.
    pub fn graph(self, n: u32, dropout: f64) -> Result<NetGraph, ShapeError> {
        let mut graph = Graph::new();
        let input = graph.input("picture", Shape::new([n, 3, self.side, self.side])?);
        let mut blocks = Blocks { graph: &mut graph, net: self, dropout };
        let trunk = (self.trunk)(&mut blocks, input)?;
        let output = blocks.heads(trunk, self.heads)?;
        Ok(NetGraph { graph, input, trunk, output })
    }

    /// Name and shape of every tensor that the net learns.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] never, for the nets as they are.
    pub fn tensors(self) -> Result<Vec<Named>, ShapeError> {
        Ok(self.graph(1, 0.0)?.graph.tensors().cloned().collect())
    }
}

/// Adds the usual layers to a graph, with tensors called `<net>.<layer>.{weight, bias, slope}`.
pub struct Blocks<'g> {
    /// Where they go.
    pub graph: &'g mut Graph,
    net: Net,
    dropout: f64,
}

impl Blocks<'_> {
    /// Valid convolution to `out` channels, activation.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `x` is smaller than the kernel.
    pub fn conv(&mut self, x: NodeId, name: &str, k: u32, out: u32) -> Result<NodeId, ShapeError> {
        let z = self.convolution(x, &[(name, out)], k, Some(self.slope()))?;
        let slope = self.slopes(name, out, ConvLayer::CHANNEL)?;
        self.graph.add(PreluLayer, &[&[z], &slope[..]].concat())
    }

    /// The same with max pooling in windows of `pool x pool`, two apart, behind it.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `x` is smaller than the kernel.
    pub fn conv_pool(&mut self, x: NodeId, name: &str, k: u32, out: u32, pool: u32) -> Result<NodeId, ShapeError> {
        let z = self.convolution(x, &[(name, out)], k, Some(self.slope()))?;
        let slope = self.slopes(name, out, ConvLayer::CHANNEL)?;
        self.graph.add(PreluPoolLayer { k: pool }, &[&[z], &slope[..]].concat())
    }

    /// Fully connected layer of `out` outputs, dropout, activation.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if it is too large to index.
    pub fn dense(&mut self, x: NodeId, name: &str, out: u32) -> Result<NodeId, ShapeError> {
        let z = self.connected(x, &[(name, out)], Some(self.slope()), self.dropout)?;
        let slope = self.slopes(name, out, DenseLayer::OUTPUT)?;
        self.graph.add(PreluLayer, &[&[z], &slope[..]].concat())
    }

    /// Linear outputs side by side, each with its own tensors: a 1x1 convolution, or of single values a dense layer.
    fn heads(&mut self, x: NodeId, heads: &[(&str, u32)]) -> Result<NodeId, ShapeError> {
        // P-Net is trained on windows that leave one cell, and slides over larger pictures: its heads are convolutions all the same.
        let dense = self.graph.node(x).inputs.first().is_some_and(|z| matches!(self.graph.node(*z).layer, super::Layer::Dense(_)));
        let joined = matches!(self.graph.node(x).layer, super::Layer::Join(_));
        if dense || joined { self.connected(x, heads, None, 0.0) } else { self.convolution(x, heads, 1, None) }
    }

    fn convolution(&mut self, x: NodeId, parts: &[(&str, u32)], k: u32, slope: Option<f32>) -> Result<NodeId, ShapeError> {
        let c = self.graph.node(x).shape.c() as usize;
        let weight = self.tensor(parts, "weight", &[c, k as usize, k as usize], ConvLayer::WEIGHT, Initial::Weight { slope })?;
        let bias = self.tensor(parts, "bias", &[], ConvLayer::CHANNEL, Initial::Constant(0.0))?;
        self.graph.add(ConvLayer, &[x, weight, bias])
    }

    fn connected(&mut self, x: NodeId, parts: &[(&str, u32)], slope: Option<f32>, dropout: f64) -> Result<NodeId, ShapeError> {
        let inputs = self.graph.node(x).shape.item() as usize;
        let weight = self.tensor(parts, "weight", &[inputs], DenseLayer::WEIGHT, Initial::Weight { slope })?;
        let bias = self.tensor(parts, "bias", &[], DenseLayer::OUTPUT, Initial::Constant(0.0))?;
        self.graph.add(DenseLayer { dropout }, &[x, weight, bias])
    }

    fn tensor(
        &mut self,
        parts: &[(&str, u32)],
        kind: &str,
        inner: &[usize],
        packing: Packing,
        start: Initial,
    ) -> Result<NodeId, ShapeError> {
        let named = |&(part, out): &(&str, u32)| Named {
            name: format!("{}.{part}.{kind}", self.net.name),
            shape: [&[out as usize], inner].concat(),
        };
        let state = State { tensors: parts.iter().map(named).collect(), packing };
        self.graph.tensor(state, start)
    }

    /// Slope of the activation before anything is learned.
    fn slope(&self) -> f32 {
        if self.net.activation == Nonlinearity::PRelu { 0.25 } else { 0.0 }
    }

    /// The slopes of a PReLU; a ReLU has none.
    fn slopes(&mut self, name: &str, out: u32, packing: Packing) -> Result<Vec<NodeId>, ShapeError> {
        match self.net.activation {
            Nonlinearity::PRelu => Ok(vec![self.tensor(&[(name, out)], "slope", &[], packing, Initial::Constant(self.slope()))?]),
            Nonlinearity::Relu => Ok(Vec::new()),
        }
    }

    /// The trunk of another net over `x`, with tensors of its own.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `x` is not of its side.
    pub fn trunk_of(&mut self, net: Net, x: NodeId) -> Result<NodeId, ShapeError> {
        let mut blocks = Blocks { graph: self.graph, net, dropout: self.dropout };
        (net.trunk)(&mut blocks, x)
    }
}
