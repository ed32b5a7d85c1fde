//! ONNX models turned into our [`Model`]: nets of convolutions, norms, activations, sums, products, pools and
//! dense layers. What is constant is computed here; a reshape that only flattens needs no layer; what we have
//! no layer for is refused by name.

mod constants;
mod layers;

use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path};

use super::graph::{Graph, NodeId};
use super::model::Model;
use super::parameter::Initial;
use crate::files;
use crate::formats::bytes::FormatError;
use crate::formats::onnx::{self, OnnxAttribute, OnnxExternal, OnnxInput, OnnxModel, OnnxNode, OnnxTensor, OnnxValues};
use crate::record::State;
use crate::tensor::{Shape, Tensor};
use crate::weights::{Weights, WeightsError};

/// Error for an ONNX model that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file is damaged, or uses a part of its format that no net here uses.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An operation has no counterpart here.
    #[error("{operator} (node {node:?}): {why}")]
    Operator {
        /// Name of the operator.
        operator: String,
        /// Name of the node, or of its first result.
        node: String,
        /// What cannot be done.
        why: String,
    },
    /// The model as a whole is of another kind.
    #[error("{what}")]
    Kind {
        /// What is wrong.
        what: String,
    },
}

impl From<FormatError> for OnnxError {
    fn from(error: FormatError) -> Self {
        Self::Weights(error.into())
    }
}

/// Operator sets that are read.
const OPSETS: std::ops::RangeInclusive<u64> = 7..=21;
/// Most bytes of a file with tensors.
const MAX_FILE: u64 = 4 << 30;

/// Name of the result of an imported net.
pub const RESULT: &str = "embedding";

/// Whether `bytes` are those of an ONNX model.
pub fn is(bytes: &[u8]) -> bool {
    onnx::is(bytes)
}

/// The net in `bytes`, with one image as its input and its first output as the result [`RESULT`]. Tensors
/// that lie outside the model are read from files in `folder`, beside it.
///
/// # Errors
///
/// [`OnnxError`]: the first thing that cannot be read or has no counterpart here, by operator and node.
pub fn read(bytes: &[u8], folder: Option<&Path>) -> Result<Model, OnnxError> {
    let model = onnx::read(bytes, &|external| read_external(folder, external))?;
    Importer::import(model)
}

/// Bytes of tensors in a file of `folder`; a path that leads elsewhere is refused.
fn read_external(folder: Option<&Path>, external: &OnnxExternal) -> Result<Vec<u8>, String> {
    let OnnxExternal { location, offset, length } = external;
    let folder = folder.ok_or_else(|| format!("its elements are in another file, {location:?}; give the model as a file beside it"))?;
    let inside = Path::new(location).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || location.is_empty() {
        return Err(format!("its elements are in {location:?}, which is not beside the model"));
    }
    let bytes = files::read(&folder.join(location), MAX_FILE).map_err(|error| error.to_string())?;
    let start = usize::try_from(*offset).unwrap_or(usize::MAX);
    let end = length.map_or(bytes.len(), |length| start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)));
    bytes.get(start..end).map(<[u8]>::to_vec).ok_or_else(|| format!("{location:?} has no bytes {start} to {end}"))
}

/// What a name of the model stands for.
#[derive(Debug, Clone)]
enum OnnxValue {
    Constant(OnnxTensor),
    /// Result of a node of our graph, with the sizes that it has in the model, for one item: those of the
    /// node, or flattened.
    Result(NodeId, Vec<usize>),
}

/// Why a node cannot be taken.
type Refusal = String;

/// Builds the graph, node by node.
struct Importer {
    graph: Graph,
    tensors: BTreeMap<String, Tensor>,
    values: HashMap<String, OnnxValue>,
}

impl Importer {
    fn import(model: OnnxModel) -> Result<Model, OnnxError> {
        let kind = |what: String| OnnxError::Kind { what };
        if !OPSETS.contains(&model.opset) {
            return Err(kind(format!("operator set {} of the ONNX model is none of 7 to 21; export it again", model.opset)));
        }
        let mut inputs = model.inputs.iter().filter(|input| !model.initializers.contains_key(&input.name));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(kind("the ONNX model does not have one input; a net here reads one image".to_owned()));
        };
        let mut importer = Self { graph: Graph::new(), tensors: BTreeMap::new(), values: HashMap::new() };
        let id = importer.input(input)?;
        importer.values.extend(model.initializers.into_iter().map(|(name, tensor)| (name, OnnxValue::Constant(tensor))));
        for node in &model.nodes {
            importer.node(node).map_err(|why| {
                let name = if node.name.is_empty() { node.outputs.first().cloned().unwrap_or_default() } else { node.name.clone() };
                OnnxError::Operator { operator: node.operator.clone(), node: name, why }
            })?;
        }
        let Some(OnnxValue::Result(output, _)) = model.outputs.first().and_then(|name| importer.values.get(name)) else {
            return Err(kind("the first output of the ONNX model does not depend on its input".to_owned()));
        };
        let outputs = [(RESULT.to_owned(), *output)].into();
        let weights = Weights::new(importer.tensors, BTreeMap::new())?;
        Ok(Model { graph: importer.graph, input: id, outputs, weights })
    }

    fn input(&mut self, input: &OnnxInput) -> Result<NodeId, OnnxError> {
        let &[n, Some(c @ (1 | 3)), Some(h), Some(w)] = &input.shape[..] else {
            return Err(OnnxError::Kind {
                what: format!(
                    "input {:?} of the ONNX model has the sizes {:?}, where [n, channels, rows, columns] with known sizes but the first are \
                     needed; export it with a fixed size",
                    input.name,
                    input.shape.iter().map(|size| size.map_or_else(|| "?".to_owned(), |size| size.to_string())).collect::<Vec<_>>()
                ),
            });
        };
        if n.is_some_and(|n| n != 1) {
            return Err(OnnxError::Kind {
                what: format!("the ONNX model is for {} images at once; export it for one or any number", n.unwrap_or(0)),
            });
        }
        let shape = Shape::new([1, c as u32, h as u32, w as u32]).map_err(|error| OnnxError::Kind { what: error.to_string() })?;
        let id = self.graph.input("picture", shape);
        self.values.insert(input.name.clone(), OnnxValue::Result(id, vec![1, c, h, w]));
        Ok(id)
    }

    /// Takes one node: computes it if what it reads is constant, or else adds a layer.
    fn node(&mut self, node: &OnnxNode) -> Result<(), Refusal> {
        if !node.domain.is_empty() && node.domain != "ai.onnx" {
            return Err(format!("an operator of the domain {:?}, which is not read", node.domain));
        }
        let read = |name: &String| match self.values.get(name) {
            Some(value) => Ok(Some(value.clone())),
            None if name.is_empty() => Ok(None),
            None => Err(format!("it reads {name:?}, which no node before it computes")),
        };
        let inputs: Vec<Option<OnnxValue>> = node.inputs.iter().map(read).collect::<Result<_, _>>()?;
        let mut results = inputs.iter().flatten().filter(|value| matches!(value, OnnxValue::Result(..)));
        let value = match results.next() {
            Some(OnnxValue::Result(_, dims)) if node.operator == "Shape" => OnnxValue::Constant(constants::of_sizes(dims)),
            Some(_) => self.layer(node, &inputs)?,
            None => OnnxValue::Constant(constants::compute(node, &inputs)?),
        };
        let name = node.outputs.first().ok_or("it has no output")?;
        self.values.insert(name.clone(), value);
        Ok(())
    }

    /// Adds a learned tensor to the graph and the weights; a name that stands for other elements already gets
    /// another.
    fn tensor(&mut self, name: &str, shape: Vec<usize>, data: Vec<f32>) -> Result<NodeId, Refusal> {
        let tensor = Tensor { shape, data };
        let mut name = name.to_owned();
        while self.tensors.get(&name).is_some_and(|other| *other != tensor) {
            name.push('\'');
        }
        let id = self
            .graph
            .tensor(State::plain(name.clone(), tensor.shape.clone()), Initial::Constant(0.0))
            .map_err(|error| error.to_string())?;
        self.tensors.insert(name, tensor);
        Ok(id)
    }
}

impl OnnxNode {
    fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(OnnxAttribute::Int(value)) = self.attributes.get(name) { *value } else { default }
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        if let Some(OnnxAttribute::Float(value)) = self.attributes.get(name) { *value } else { default }
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        if let Some(OnnxAttribute::Ints(values)) = self.attributes.get(name) { Some(values) } else { None }
    }

    fn text(&self, name: &str) -> Option<&str> {
        if let Some(OnnxAttribute::Text(text)) = self.attributes.get(name) { Some(text) } else { None }
    }
}

impl OnnxTensor {
    fn floats(&self) -> Result<&[f32], Refusal> {
        if let OnnxValues::Floats(values) = &self.values { Ok(values) } else { Err("integers where other numbers are needed".to_owned()) }
    }

    fn ints(&self) -> Result<&[i64], Refusal> {
        if let OnnxValues::Ints(values) = &self.values { Ok(values) } else { Err("fractions where integers are needed".to_owned()) }
    }
}
