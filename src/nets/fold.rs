//! Batch norms and activations joined to the convolutions and dense layers before them, for inference.

use std::collections::BTreeMap;

use super::graph::{Graph, NodeId};
use super::layer::{ActivationLayer, ConvolutionPreluLayer, Layer, NormLayer, PreluLayer, Statistics};
use super::model::{Model, ModelError};
use super::parameter::{Initial, Parameter};
use crate::record::State;
use crate::tensor::Tensor;
use crate::weights::Weights;

/// Builds the joined model node by node.
struct Folding<'a> {
    from: &'a Model,
    graph: Graph,
    tensors: BTreeMap<String, Tensor>,
    /// New nodes by old ones.
    placed: BTreeMap<NodeId, NodeId>,
}

/// Finds the layer that is to be joined to the layer before it.
type Follower<'a> = fn(&Folding<'a>, NodeId) -> Option<NodeId>;
/// Adds a layer and its follower as one.
type Joining<'a> = fn(&mut Folding<'a>, NodeId, NodeId) -> Result<NodeId, ModelError>;

impl Model {
    /// Returns a model with the same results and fewer layers, for inference. Running batch norms that follow
    /// a convolution or a dense layer become part of it: `weight' = weight s` and
    /// `bias' = shift + (bias - mean) s` with `s = scale / √(variance + ε)`, output by output. Then a PReLU
    /// or ReLU that follows a convolution is joined to it.
    ///
    /// # Errors
    ///
    /// [`ModelError::Weights`] if a tensor is missing or misshapen.
    pub fn for_inference(&self) -> Result<Self, ModelError> {
        self.joined(Folding::norm_after, Folding::fold)?.joined(Folding::activation_after, Folding::activate)
    }

    fn joined<'a>(&'a self, follower: Follower<'a>, join: Joining<'a>) -> Result<Self, ModelError> {
        let mut folding = Folding { from: self, graph: Graph::new(), tensors: BTreeMap::new(), placed: BTreeMap::new() };
        let joined: BTreeMap<NodeId, NodeId> = self.graph.ids().filter_map(|id| Some((follower(&folding, id)?, id))).collect();
        for id in self.graph.ids() {
            // Tensors come with the layers that read them.
            if joined.values().any(|first| *first == id) || matches!(self.graph.node(id).layer, Layer::Tensor(_)) {
                continue;
            }
            let new = match joined.get(&id) {
                Some(first) => join(&mut folding, *first, id)?,
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
    /// Returns the batch norm that alone reads the convolution or dense layer `id`.
    fn norm_after(&self, id: NodeId) -> Option<NodeId> {
        let is_linear = matches!(self.from.graph.node(id).layer, Layer::Convolution(_) | Layer::Linear(_));
        let reader = self.only_reader(id).filter(|_| is_linear)?;
        matches!(self.from.graph.node(reader).layer, Layer::Norm(NormLayer { statistics: Statistics::Running, .. })).then_some(reader)
    }

    /// Returns the PReLU or ReLU that alone reads the convolution `id`.
    fn activation_after(&self, id: NodeId) -> Option<NodeId> {
        let is_convolution = matches!(self.from.graph.node(id).layer, Layer::Convolution(_));
        let reader = self.only_reader(id).filter(|_| is_convolution)?;
        let activates = matches!(self.from.graph.node(reader).layer, Layer::Prelu(_) | Layer::Activation(ActivationLayer::Relu { .. }));
        activates.then_some(reader)
    }

    /// Returns the one layer that reads the result of `id` if nothing else needs it, and if all else that
    /// both read are tensors.
    fn only_reader(&self, id: NodeId) -> Option<NodeId> {
        let graph = &self.from.graph;
        let mut readers = graph.readers(id);
        let (reader, None) = (readers.next()?, readers.next()) else { return None };
        let given = |id: NodeId| graph.node(id).inputs.iter().skip(1).all(|input| matches!(graph.node(*input).layer, Layer::Tensor(_)));
        let is_wanted = self.from.outputs.values().any(|end| *end == id);
        (!is_wanted && given(id) && given(reader)).then_some(reader)
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

    /// Adds the convolution `first` with the activation `after` it.
    fn activate(&mut self, first: NodeId, after: NodeId) -> Result<NodeId, ModelError> {
        let (node, activation) = (self.from.graph.node(first), self.from.graph.node(after));
        let Layer::Convolution(convolution) = node.layer else { unreachable!("a convolution, as was checked") };
        let (name, out) = (node.label.clone(), node.shape.c() as usize);
        let constant = |value: f32| Tensor { shape: vec![out], data: vec![value; out] };
        let mut inputs = node.inputs.iter().map(|input| self.placed(*input)).collect::<Result<Vec<_>, _>>()?;
        if inputs.len() == 2 {
            inputs.push(self.place(format!("{name}, bias"), constant(0.0))?);
        }
        let (slope, most) = match activation.layer {
            Layer::Activation(ActivationLayer::Relu { slope, most }) => (slope, most),
            _ => (0.0, f32::MAX),
        };
        inputs.push(match activation.inputs.get(1) {
            Some(slopes) => self.placed(*slopes)?,
            None => self.place(format!("{name}, slope"), constant(slope))?,
        });
        Ok(self.graph.add(ConvolutionPreluLayer { convolution, most }, &inputs)?)
    }
}
