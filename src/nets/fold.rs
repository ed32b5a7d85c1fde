//! Batch norms folded into the convolutions and dense layers before them, for inference.

use std::collections::BTreeMap;

use super::graph::{Graph, NodeId};
use super::layer::{Layer, NormLayer, PreluLayer, Statistics};
use super::model::{Model, ModelError};
use super::parameter::{Initial, Parameter};
use crate::record::State;
use crate::tensor::Tensor;
use crate::weights::Weights;

/// Builds the folded model node by node.
struct Folding<'a> {
    from: &'a Model,
    graph: Graph,
    tensors: BTreeMap<String, Tensor>,
    /// New nodes by old ones.
    placed: BTreeMap<NodeId, NodeId>,
}

impl Model {
    /// Returns a model with the same results in which running batch norms that follow a convolution or a
    /// dense layer are part of it: `weight' = weight s` and `bias' = shift + (bias - mean) s` with
    /// `s = scale / √(variance + ε)`, output by output. A PReLU of the norm stays, as a layer of its own.
    ///
    /// # Errors
    ///
    /// [`ModelError::Weights`] if a tensor is missing or misshapen.
    pub fn folded(&self) -> Result<Self, ModelError> {
        let mut folding = Folding { from: self, graph: Graph::new(), tensors: BTreeMap::new(), placed: BTreeMap::new() };
        let norms: BTreeMap<NodeId, NodeId> = self.graph.ids().filter_map(|id| Some((folding.norm_after(id)?, id))).collect();
        for id in self.graph.ids() {
            // Tensors come with the layers that read them.
            if norms.values().any(|linear| *linear == id) || matches!(self.graph.node(id).layer, Layer::Tensor(_)) {
                continue;
            }
            let new = match norms.get(&id) {
                Some(linear) => folding.fold(*linear, id)?,
                None => folding.copy(id)?,
            };
            folding.placed.insert(id, new);
        }
        let Folding { graph, tensors, placed, .. } = folding;
        let outputs = self.outputs.iter().map(|(name, id)| (name.clone(), placed[id])).collect();
        let weights = Weights::new(tensors, self.weights.metadata().clone())?;
        Ok(Self { graph, input: placed[&self.input], outputs, weights })
    }
}

impl Folding<'_> {
    /// Returns the batch norm that alone reads the convolution or dense layer `id`, if their tensors are
    /// known.
    fn norm_after(&self, id: NodeId) -> Option<NodeId> {
        let graph = &self.from.graph;
        if !matches!(graph.node(id).layer, Layer::Convolution(_) | Layer::Linear(_)) || self.from.outputs.values().any(|end| *end == id) {
            return None;
        }
        let mut readers = graph.readers(id);
        let (reader, None) = (readers.next()?, readers.next()) else { return None };
        let folds = matches!(graph.node(reader).layer, Layer::Norm(NormLayer { statistics: Statistics::Running, .. }));
        let given = |id: NodeId| graph.node(id).inputs[1..].iter().all(|input| matches!(graph.node(*input).layer, Layer::Tensor(_)));
        (folds && given(id) && given(reader)).then_some(reader)
    }

    /// Returns the tensor of the node `id`, with its name.
    fn tensor(&self, id: NodeId) -> Result<(&str, &Tensor), ModelError> {
        let Layer::Tensor(Parameter { state, .. }) = &self.from.graph.node(id).layer else { unreachable!("a tensor, as was checked") };
        let named = &state.tensors[0];
        Ok((&named.name, self.from.weights.tensor(&named.name, &named.shape)?))
    }

    /// Adds the input or layer `id` as it is.
    fn copy(&mut self, id: NodeId) -> Result<NodeId, ModelError> {
        let node = self.from.graph.node(id);
        if matches!(node.layer, Layer::Input) {
            return Ok(self.graph.input(node.label.clone(), node.shape.clone()));
        }
        let inputs = node.inputs.iter().map(|input| self.placed(*input)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.graph.add(node.layer.clone(), &inputs)?)
    }

    /// Returns the new node of `id`, which for a tensor is added.
    fn placed(&mut self, id: NodeId) -> Result<NodeId, ModelError> {
        if let Some(placed) = self.placed.get(&id) {
            return Ok(*placed);
        }
        let (name, tensor) = self.tensor(id)?;
        let (name, tensor) = (name.to_owned(), tensor.clone());
        self.place(name, tensor)
    }

    fn place(&mut self, name: String, tensor: Tensor) -> Result<NodeId, ModelError> {
        let id = self.graph.tensor(State::plain(name.clone(), tensor.shape.clone()), Initial::Constant(0.0))?;
        self.tensors.insert(name, tensor);
        Ok(id)
    }

    /// Adds the layer `linear` with the batch norm `norm` in it.
    fn fold(&mut self, linear: NodeId, norm: NodeId) -> Result<NodeId, ModelError> {
        let (node, after) = (self.from.graph.node(linear), self.from.graph.node(norm));
        let Layer::Norm(layer) = &after.layer else { unreachable!("a norm was found") };
        let data = |i: usize| Ok::<_, ModelError>(self.tensor(after.inputs[i])?.1.data.iter().map(|value| f64::from(*value)));
        let factors: Vec<f64> = data(3)?.zip(data(2)?).map(|(scale, variance)| scale / (variance + layer.epsilon).sqrt()).collect();
        let old = node.inputs.get(2).map(|bias| self.tensor(*bias)).transpose()?;
        let old = (0..factors.len()).map(|o| old.map_or(0.0, |(_, bias)| f64::from(bias.data[o])));
        let bias =
            old.zip(data(1)?).zip(data(4)?).zip(&factors).map(|(((old, mean), shift), factor)| (shift + (old - mean) * factor) as f32);
        let bias = Tensor { shape: vec![factors.len()], data: bias.collect() };
        let (name, weight) = self.tensor(node.inputs[1])?;
        let mut weight = weight.clone();
        let row = weight.data.len() / factors.len();
        for (row, factor) in weight.data.chunks_exact_mut(row).zip(&factors) {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) * factor) as f32);
        }
        // A tensor that several layers share is folded for each of them.
        let name = format!("{name} with {}", after.label);
        let weight = self.place(name.clone(), weight)?;
        let bias = self.place(format!("{name}, bias"), bias)?;
        let x = self.placed(node.inputs[0])?;
        let y = self.graph.add(node.layer.clone(), &[x, weight, bias])?;
        let Some(slope) = after.inputs.get(5) else { return Ok(y) };
        let slope = self.placed(*slope)?;
        Ok(self.graph.add(PreluLayer, &[y, slope])?)
    }
}
