//! [`Model`]: a graph with its tensors, as a weights file keeps it.
//!
//! The graph stands in the file's metadata under `graph`, as JSON: the input's sizes, the nodes in order,
//! each with its layer and what it reads (the number of an earlier result, 0 for the input, or the name of a
//! tensor of the file), and the numbers of the named results.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::graph::{Graph, NodeId};
use super::layer::Layer;
use super::parameter::Initial;
use super::parameters::Parameters;
use super::pass::Pass;
use crate::record::{DeviceFacts, Recording, Slot, State};
use crate::tensor::{Shape, ShapeError};
use crate::weights::{Weights, WeightsError};

/// A net of one input, with its tensors.
#[derive(Debug, Clone)]
pub struct Model {
    /// The net, for one item.
    pub graph: Graph,
    /// Node of the input.
    pub input: NodeId,
    /// Nodes of the results, by name.
    pub outputs: BTreeMap<String, NodeId>,
    /// Tensors of the net, and what is known about it.
    pub weights: Weights,
}

/// Error for a model that cannot be read or recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The weights are of something else.
    #[error("these weights hold no graph: they are not a model that `mtcmcn import` or `train` wrote")]
    Absent,
    /// The graph is not JSON of the form needed.
    #[error("the graph of the model cannot be read; import it again")]
    Json {
        /// What the reader said.
        #[source]
        source: serde_json::Error,
    },
    /// A node refers to something that is not there.
    #[error("node {node} of the model refers to {what}, which is not before it; import the model again")]
    Reference {
        /// Number of the node, from 1.
        node: usize,
        /// What it refers to.
        what: String,
    },
    /// The shapes do not fit.
    #[error("node {node} of the model does not fit its inputs")]
    Node {
        /// Number of the node, from 1; 0 for the input.
        node: usize,
        /// What is wrong.
        #[source]
        source: ShapeError,
    },
    /// The batch is too large, or a layer does not fit another.
    #[error(transparent)]
    Shape(#[from] ShapeError),
    /// A tensor is missing, misshapen or not finite.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

#[derive(Serialize, Deserialize)]
struct StoredGraph {
    input: [u32; 3],
    nodes: Vec<StoredNode>,
    outputs: BTreeMap<String, usize>,
}

#[derive(Serialize, Deserialize)]
struct StoredNode {
    layer: Layer,
    reads: Vec<StoredInput>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredInput {
    /// A result: 0 for the input, then the nodes from 1.
    Result(usize),
    /// A tensor.
    Tensor(String),
}

impl Model {
    /// Key of the graph in a file's metadata.
    const KEY: &'static str = "graph";

    /// Reads the model in `weights`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the weights hold no graph, or one that does not fit itself or its tensors.
    pub fn read(weights: Weights) -> Result<Self, ModelError> {
        let text = weights.metadata().get(Self::KEY).ok_or(ModelError::Absent)?;
        let stored: StoredGraph = serde_json::from_str(text).map_err(|source| ModelError::Json { source })?;
        let mut graph = Graph::new();
        let [c, h, w] = stored.input;
        let shape = Shape::new([1, c, h, w]).map_err(|source| ModelError::Node { node: 0, source })?;
        let mut results = vec![graph.input("picture", shape)];
        for (node, StoredNode { layer, reads }) in (1..).zip(stored.nodes) {
            let failed = |source| ModelError::Node { node, source };
            let mut inputs = Vec::with_capacity(reads.len());
            for read in reads {
                inputs.push(match read {
                    StoredInput::Result(number) => {
                        *results.get(number).ok_or_else(|| ModelError::Reference { node, what: format!("result {number}") })?
                    }
                    StoredInput::Tensor(name) => {
                        let tensor = weights.tensors().get(&name).filter(|tensor| (1..=4).contains(&tensor.shape.len()));
                        let Some(tensor) = tensor else {
                            return Err(ModelError::Reference { node, what: format!("tensor {name:?}") });
                        };
                        graph.tensor(State::plain(name, tensor.shape.clone()), Initial::Constant(0.0)).map_err(failed)?
                    }
                });
            }
            results.push(graph.add(layer, &inputs).map_err(failed)?);
        }
        let last = results.len();
        let output = |(name, number): (String, usize)| match results.get(number) {
            Some(id) => Ok((name, *id)),
            None => Err(ModelError::Reference { node: last, what: format!("result {number}") }),
        };
        let outputs = stored.outputs.into_iter().map(output).collect::<Result<_, _>>()?;
        Ok(Self { graph, input: results[0], outputs, weights })
    }

    /// Returns the tensors of the model, with the graph among the metadata: what a file keeps.
    ///
    /// # Errors
    ///
    /// [`ModelError::Json`] if the graph has a layer that no file may hold: those of the cascade.
    pub fn write(&self) -> Result<Weights, ModelError> {
        let mut numbers: BTreeMap<NodeId, usize> = BTreeMap::from([(self.input, 0)]);
        let mut nodes = Vec::new();
        for id in self.graph.ids() {
            let node = self.graph.node(id);
            if node.layer.is_given() {
                continue;
            }
            let read = |input: &NodeId| match numbers.get(input) {
                Some(number) => StoredInput::Result(*number),
                None => StoredInput::Tensor(self.graph.node(*input).label.clone()),
            };
            let reads = node.inputs.iter().map(read).collect();
            nodes.push(StoredNode { layer: node.layer.clone(), reads });
            numbers.insert(id, nodes.len());
        }
        let shape = &self.graph.node(self.input).shape;
        let outputs = self.outputs.iter().map(|(name, id)| (name.clone(), numbers[id])).collect();
        let stored = StoredGraph { input: [shape.c(), shape.levels()[0].h, shape.levels()[0].w], nodes, outputs };
        let text = serde_json::to_string(&stored).map_err(|source| ModelError::Json { source })?;
        Ok(self.weights.clone().with_metadata(Self::KEY, &text))
    }

    /// Returns the shape of the result `name` for one item; `None` if there is no such result.
    pub fn output(&self, name: &str) -> Option<&Shape> {
        self.outputs.get(name).map(|id| &self.graph.node(*id).shape)
    }

    /// Appends the net over `n` items in `x`, with its tensors as constants; returns the slots of the
    /// results, by name.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if there are too many items, or a tensor is missing, misshapen or not finite.
    pub fn record(&self, recording: &mut Recording, x: Slot, n: u32, device: DeviceFacts) -> Result<BTreeMap<String, Slot>, ModelError> {
        let graph = self.graph.with_items(n)?;
        let parameters = Parameters::constants(recording, &graph, &self.weights)?;
        let mut pass = Pass::new(&graph, &parameters, device, None);
        pass.bind(self.input, x);
        let ends: Vec<NodeId> = self.outputs.values().copied().collect();
        pass.forward(recording, &ends);
        Ok(self.outputs.iter().map(|(name, id)| (name.clone(), pass.value(*id))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ir::Encoder;
    use super::super::layer::Statistics;
    use super::*;
    use crate::tensor::{Tensor, noise};

    fn model() -> Model {
        let mut graph = Graph::new();
        let input = graph.input("picture", Shape::new([1, 3, 16, 16]).unwrap());
        let results = Encoder::LITE.narrowed(8).add(&mut graph, input, Statistics::Running).unwrap();
        let tensors = graph.tensors().map(|named| {
            let data = noise(named.shape.iter().product(), 1).iter().map(|x| x.abs() + 0.1).collect();
            (named.name.clone(), Tensor { shape: named.shape.clone(), data })
        });
        let weights = Weights::new(tensors.collect(), BTreeMap::new()).unwrap();
        Model { graph, input, outputs: [("features".to_owned(), results[4])].into(), weights }
    }

    #[test]
    fn a_model_survives_its_file() {
        let written = model().write().unwrap();
        let read = Model::read(Weights::from_bytes(&written.to_bytes()).unwrap()).unwrap();
        assert_eq!(read.output("features").map(Shape::elements), Some(16));
        assert_eq!(read.write().unwrap(), written);
    }

    #[test]
    fn a_graph_that_refers_to_nothing_is_refused() {
        let written = model().write().unwrap();
        let text = written.metadata()["graph"].clone();
        let read = |text: &str| Model::read(written.clone().with_metadata("graph", text)).unwrap_err();
        assert!(matches!(Model::read(Weights::default()), Err(ModelError::Absent)));
        assert!(matches!(read("{"), ModelError::Json { .. }));
        assert!(matches!(read(&text.replacen("stem.conv.weight", "stem", 1)), ModelError::Reference { node: 1, .. }));
        assert!(matches!(read(&text.replacen("\"reads\":[0,", "\"reads\":[1,", 1)), ModelError::Reference { node: 1, .. }));
        assert!(matches!(read(&text.replacen("\"reads\":[0,", "\"reads\":[", 1)), ModelError::Node { node: 1, .. }));
        assert!(matches!(read(&text.replacen("\"stride\":2", "\"stride\":0", 1)), ModelError::Node { node: 1, .. }));
        assert!(matches!(read(&text.replacen("\"convolution\"", "\"conv\"", 1)), ModelError::Json { .. }));
    }
}
