//! [`Graph`]: a net as data. Its nodes are inputs, tensors and layers. The types that walk it
//! ([`Pass`](super::Pass), [`Fused`](super::Fused)) decide which tensors learn, what is recorded, and which
//! kernels are used.

use std::collections::BTreeMap;

use super::layer::Layer;
use super::parameter::{Initial, Parameter};
use crate::record::{Named, State};
use crate::tensor::{Shape, ShapeError};

/// Handle of a node of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Returns the node's position among [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// One node: a layer and the earlier nodes that it reads.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name for messages and profiles.
    pub label: String,
    /// Layer that computes the result.
    pub layer: Layer,
    /// Nodes that the layer reads.
    pub inputs: Vec<NodeId>,
    /// Shape of the result; for a tensor its sizes, padded with ones.
    pub shape: Shape,
}

/// A list of nodes in which every node comes after its inputs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    tensors: BTreeMap<String, NodeId>,
}

impl Graph {
    /// Creates an empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Returns the node `id`.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Yields the handles of all nodes, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    fn push(&mut self, label: String, layer: Layer, inputs: &[NodeId], shape: Shape) -> NodeId {
        self.nodes.push(Node { label, layer, inputs: inputs.to_vec(), shape });
        NodeId(self.nodes.len() - 1)
    }

    /// Adds an input of the graph.
    pub fn input(&mut self, label: impl Into<String>, shape: Shape) -> NodeId {
        self.push(label.into(), Layer::Input, &[], shape)
    }

    /// Adds a learned tensor. A name that exists already returns the existing node, so that layers can share
    /// a tensor.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the tensor is empty or too large to index, or if its size differs from that of the
    /// existing tensor of that name.
    pub fn tensor(&mut self, state: State, start: Initial) -> Result<NodeId, ShapeError> {
        let name = state.tensors[0].name.clone();
        let sizes = state.shape();
        let size = |i: usize| sizes.get(i).map_or(1, |size| *size as u32);
        let shape = Shape::new([size(0), size(1), size(2), size(3)])?;
        if let Some(id) = self.tensors.get(&name) {
            return self.node(*id).shape.same(&shape).map(|_| *id);
        }
        let id = self.push(name.clone(), Layer::Tensor(Parameter { state, start }), &[], shape);
        self.tensors.insert(name, id);
        Ok(id)
    }

    /// Adds `layer` over `inputs`.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the number or the shapes of the inputs do not fit the layer.
    pub fn add(&mut self, layer: impl Into<Layer>, inputs: &[NodeId]) -> Result<NodeId, ShapeError> {
        let layer = layer.into();
        if !layer.op().inputs().contains(&inputs.len()) {
            return Err(ShapeError::Inputs { layer: layer.op().name(), got: inputs.len() });
        }
        let shapes: Vec<&Shape> = inputs.iter().map(|id| &self.nodes[id.0].shape).collect();
        let shape = layer.op().output(&shapes)?;
        Ok(self.push(format!("{}.{}", layer.op().name(), self.nodes.len()), layer, inputs, shape))
    }

    /// Returns the same net, with the same handles, for `n` items in each input.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a result becomes too large to index.
    pub fn with_items(&self, n: u32) -> Result<Self, ShapeError> {
        let mut graph = Self::new();
        for Node { label, layer, inputs, shape } in &self.nodes {
            match layer {
                Layer::Input => graph.input(label.clone(), shape.with(n, shape.c())?),
                Layer::Tensor(Parameter { state, start }) => graph.tensor(state.clone(), *start)?,
                layer => graph.add(layer.clone(), inputs)?,
            };
        }
        Ok(graph)
    }

    /// Yields every tensor node with its parameter.
    pub fn parameters(&self) -> impl Iterator<Item = (NodeId, &Parameter)> {
        let all = self.nodes.iter().enumerate();
        all.filter_map(|(i, node)| if let Layer::Tensor(parameter) = &node.layer { Some((NodeId(i), parameter)) } else { None })
    }

    /// Yields every tensor that the net learns, by name and shape.
    pub fn tensors(&self) -> impl Iterator<Item = &Named> {
        self.parameters().flat_map(|(_, parameter)| &parameter.state.tensors)
    }

    /// Yields the nodes that read the result of `id`.
    pub fn readers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ids().filter(move |reader| self.node(*reader).inputs.contains(&id))
    }
}
