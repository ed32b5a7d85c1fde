//! [`Graph`]: a net as data. Its nodes are inputs, tensors and layers; what learns, what is recorded and by which kernels is decided by
//! those that walk it ([`Pass`](super::Pass), [`Fused`](super::Fused)).

use std::collections::BTreeMap;

use super::layer::Layer;
use super::parameter::{Initial, Parameter};
use crate::record::{Named, State};
use crate::tensor::{Shape, ShapeError};

/// A node of one graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(usize);

impl NodeId {
    /// Position among [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// One node: what it computes of which nodes before it.
#[derive(Debug, Clone)]
pub struct Node {
    /// For people.
    pub label: String,
    /// What it computes.
    pub layer: Layer,
    /// Of which nodes.
    pub inputs: Vec<NodeId>,
    /// Shape of the result; of a tensor its sizes, filled up with ones.
    pub shape: Shape,
}

/// Nodes in an order in which every node's inputs come before it.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    nodes: Vec<Node>,
    tensors: BTreeMap<String, NodeId>,
}

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every node.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// One of them.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Every node's handle, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len()).map(NodeId)
    }

    fn push(&mut self, label: String, layer: Layer, inputs: &[NodeId], shape: Shape) -> NodeId {
        self.nodes.push(Node { label, layer, inputs: inputs.to_vec(), shape });
        NodeId(self.nodes.len() - 1)
    }

    /// What comes from outside.
    pub fn input(&mut self, label: impl Into<String>, shape: Shape) -> NodeId {
        self.push(label.into(), Layer::Input, &[], shape)
    }

    /// A tensor that is learned. The same name is the same node, which is how layers share one.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if it is empty or too large to index, or of another size than the one of that name.
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

    /// `layer` over `inputs`.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if their shapes do not fit it.
    pub fn add(&mut self, layer: impl Into<Layer>, inputs: &[NodeId]) -> Result<NodeId, ShapeError> {
        let layer = layer.into();
        let shapes: Vec<&Shape> = inputs.iter().map(|id| &self.nodes[id.0].shape).collect();
        let shape = layer.op().output(&shapes)?;
        Ok(self.push(format!("{}.{}", layer.op().name(), self.nodes.len()), layer, inputs, shape))
    }

    /// Every tensor node with what it stands for.
    pub fn parameters(&self) -> impl Iterator<Item = (NodeId, &Parameter)> {
        let all = self.nodes.iter().enumerate();
        all.filter_map(|(i, node)| if let Layer::Tensor(parameter) = &node.layer { Some((NodeId(i), parameter)) } else { None })
    }

    /// Every tensor that the net learns, by name and shape.
    pub fn tensors(&self) -> impl Iterator<Item = &Named> {
        self.parameters().flat_map(|(_, parameter)| &parameter.state.tensors)
    }

    /// Nodes that read the result of `id`.
    pub fn readers(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ids().filter(move |reader| self.node(*reader).inputs.contains(&id))
    }
}
