//! [`Layer`]: what a net is made of, and how its forward pass is recorded.

use crate::kernels::nn::{Conv, Dense, Halve, Join, Lrn, MaxPool};
use crate::record::{Recording, Slot};
use crate::tensor::{Shape, ShapeError, Tensor};
use crate::weights::{Weights, WeightsError};

/// One layer. Tensors are named `<net>.<layer>.{weight, bias, slope}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Valid convolution, stride 1, bias, activation.
    Conv {
        /// Name of its tensors.
        name: &'static str,
        /// Kernel side.
        k: u32,
        /// Output channels.
        out: u32,
    },
    /// Max pooling, ceil mode.
    MaxPool {
        /// Window side.
        k: u32,
        /// Step of the window.
        stride: u32,
    },
    /// Local response normalization across channels.
    Lrn,
    /// Fully connected over the whole item (`c * h * w` in NCHW order), bias, activation.
    Dense {
        /// Name of its tensors.
        name: &'static str,
        /// Outputs.
        out: u32,
    },
    /// Linear outputs side by side, each with its own tensors: a 1x1 convolution, or after a dense layer a dense one.
    Heads(&'static [(&'static str, u32)]),
}

/// What follows convolutions and dense layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// With one learned slope per output.
    PRelu,
    /// `max(0, x)`: slopes of zero that are no parameters.
    Relu,
}

/// A net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// First part of its tensors' names.
    pub name: &'static str,
    /// Side of the input it was trained on, px.
    pub side: u32,
    /// After every convolution and dense layer.
    pub activation: Activation,
    /// Layers in order.
    pub layers: &'static [Layer],
    /// A net that sees the input at half the size; what it feeds its heads is joined to what feeds ours.
    pub branch: Option<&'static Self>,
}

/// Why a net cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The net has a branch, which has no backward pass.
    #[error("{net} can only be run forward: it has a branch, which is not trained along")]
    Branch {
        /// Which net.
        net: &'static str,
    },
    /// The input is too small or too large.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

/// Weight, bias and slope of a layer as its kernel reads them.
#[derive(Debug, Clone, Copy)]
struct Parameters {
    weight: Slot,
    bias: Slot,
    slope: Slot,
}

/// What the weights say of a layer.
pub(super) struct Tensors {
    pub name: &'static str,
    pub weight: Tensor,
    pub bias: Vec<f32>,
    pub slope: Vec<f32>,
    /// The layer is a dense one, or heads after one.
    pub dense: bool,
}

/// A net's forward pass inside one recording: its parameters, and one slot per layer for activations, shared by all its passes.
#[derive(Debug, Clone)]
pub struct Forward {
    net: Net,
    parameters: Vec<Option<Parameters>>,
    activations: Vec<Slot>,
    branch: Option<Box<Branch>>,
}

/// The pass of [`Net::branch`], with what joins it to ours.
#[derive(Debug, Clone)]
struct Branch {
    forward: Forward,
    halved: Slot,
    joined: Slot,
}

impl Net {
    /// Outputs of one item or cell.
    pub fn outputs(self) -> u32 {
        self.heads().iter().map(|(_, out)| out).sum()
    }

    /// Names and outputs of its heads, in the order of its outputs.
    pub fn heads(self) -> &'static [(&'static str, u32)] {
        self.layers.iter().rev().find_map(|layer| if let Layer::Heads(heads) = layer { Some(*heads) } else { None }).unwrap_or_default()
    }

    /// Puts the net's parameters into `recording`.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    pub fn forward(self, recording: &mut Recording, weights: &Weights) -> Result<Forward, NetError> {
        let (mut parameters, mut activations) = (Vec::new(), Vec::new());
        for (i, shape) in self.inputs()?.iter().enumerate() {
            parameters.push(self.parameters(i, shape, recording, weights)?);
            activations.push(recording.slot(format!("{}.{i}", self.name), 1));
        }
        let branch = self.branch.map(|net| {
            let [halved, joined] = ["halved", "joined"].map(|part| recording.slot(format!("{}.{part}", self.name), 1));
            net.without_heads().forward(recording, weights).map(|forward| Box::new(Branch { forward, halved, joined }))
        });
        Ok(Forward { net: self, parameters, activations, branch: branch.transpose()? })
    }

    /// Layers before the heads.
    fn hidden(self) -> usize {
        self.layers.iter().position(|layer| matches!(layer, Layer::Heads(_))).unwrap_or(self.layers.len())
    }

    /// What the net feeds its heads, as a net of its own with the same tensors.
    fn without_heads(self) -> Self {
        Self { layers: &self.layers[..self.hidden()], ..self }
    }

    /// Shape of one item before each layer.
    fn inputs(self) -> Result<Vec<Shape>, ShapeError> {
        let mut shape = Shape::new([1, 3, self.side, self.side])?;
        let mut inputs = Vec::new();
        for layer in self.layers {
            if let (Layer::Heads(_), Some(branch)) = (layer, self.branch) {
                shape = shape.with(1, shape.c() + branch.features()?)?;
            }
            inputs.push(shape.clone());
            shape = layer.output(&shape)?;
        }
        Ok(inputs)
    }

    /// Values of one item that the net feeds its heads.
    fn features(self) -> Result<u32, ShapeError> {
        Ok(self.inputs()?.pop().map_or(0, |shape| shape.item()))
    }

    /// Name and shape of every tensor that the net learns, its branch's included.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the net's side is too small for its layers.
    pub fn tensors(self) -> Result<Vec<(String, Vec<u32>)>, ShapeError> {
        let mut tensors = Vec::new();
        let mut add = |layer: &str, part: &str, shape: &[u32]| tensors.push((format!("{}.{layer}.{part}", self.name), shape.to_vec()));
        let slope = self.activation == Activation::PRelu;
        for (i, (layer, x)) in self.layers.iter().zip(self.inputs()?).enumerate() {
            let one: &[(&str, u32)] = match layer {
                Layer::MaxPool { .. } | Layer::Lrn => &[],
                Layer::Conv { name, out, .. } | Layer::Dense { name, out } => &[(name, *out)],
                Layer::Heads(heads) => heads,
            };
            for &(name, out) in one {
                add(name, "weight", &self.weight_shape(i, &x, out));
                add(name, "bias", &[out]);
                if slope && !matches!(layer, Layer::Heads(_)) {
                    add(name, "slope", &[out]);
                }
            }
        }
        if let Some(branch) = self.branch {
            tensors.extend(branch.without_heads().tensors()?);
        }
        Ok(tensors)
    }

    /// Shape of the weight of layer `i` with input `x` and `out` outputs.
    fn weight_shape(self, i: usize, x: &Shape, out: u32) -> Vec<u32> {
        let dense = self.layers[..=i].iter().any(|layer| matches!(layer, Layer::Dense { .. }));
        match self.layers[i] {
            Layer::Conv { k, .. } => vec![out, x.c(), k, k],
            _ if dense => vec![out, x.item()],
            _ => vec![out, x.c(), 1, 1],
        }
    }

    fn parameters(self, i: usize, x: &Shape, recording: &mut Recording, weights: &Weights) -> Result<Option<Parameters>, NetError> {
        let Some(packed) = self.packed(i, x, weights)? else { return Ok(None) };
        let mut constant = |part: &str, data: Vec<f32>| recording.constant(format!("{}.{}.{part}", self.name, packed.name), data);
        Ok(Some(Parameters {
            weight: constant("weight", packed.weight),
            bias: constant("bias", packed.bias),
            slope: constant("slope", packed.slope),
        }))
    }

    /// The tensors of layer `i`, whose input is `x`, heads side by side; `None` for a layer that has none.
    pub(super) fn unpacked(self, i: usize, x: &Shape, weights: &Weights) -> Result<Option<Tensors>, NetError> {
        let get = |layer: &str, part: &str, shape: &[u32]| {
            let shape: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
            weights.tensor(&format!("{}.{layer}.{part}", self.name), &shape)
        };
        let dense = self.layers[..=i].iter().any(|layer| matches!(layer, Layer::Dense { .. }));
        match self.layers[i] {
            Layer::MaxPool { .. } | Layer::Lrn => Ok(None),
            Layer::Conv { name, out, .. } | Layer::Dense { name, out } => {
                let weight = get(name, "weight", &self.weight_shape(i, x, out))?.clone();
                let bias = get(name, "bias", &[out])?.data.clone();
                let slope = match self.activation {
                    Activation::PRelu => get(name, "slope", &[out])?.data.clone(),
                    Activation::Relu => vec![0.0; out as usize],
                };
                Ok(Some(Tensors { name, weight, bias, slope, dense }))
            }
            Layer::Heads(heads) => {
                let mut weight = Tensor { shape: vec![0, x.c() as usize], data: Vec::new() };
                let mut bias = Vec::new();
                for &(head, out) in heads {
                    weight.data.extend_from_slice(&get(head, "weight", &self.weight_shape(i, x, out))?.data);
                    bias.extend_from_slice(&get(head, "bias", &[out])?.data);
                }
                weight.shape[0] = bias.len();
                let slope = vec![1.0; bias.len()];
                Ok(Some(Tensors { name: "heads", weight, bias, slope, dense }))
            }
        }
    }
}

impl Layer {
    /// Shape of the result for input `x`. A dense layer takes planes as they are and leaves planes of 1 x 1.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the input is smaller than the layer's window.
    pub fn output(self, x: &Shape) -> Result<Shape, ShapeError> {
        match self {
            Self::Conv { k, out, .. } => Conv::new(x, out, k).map(|(_, _, y)| y),
            Self::MaxPool { k, stride } => MaxPool::new(x, k, stride).map(|(_, _, y)| y),
            Self::Lrn => Ok(x.clone()),
            Self::Dense { out, .. } => Shape::new([x.n(), out, 1, 1]),
            Self::Heads(heads) => x.with(x.n(), heads.iter().map(|(_, out)| out).sum()),
        }
    }
}

impl Forward {
    /// Outputs of one item or cell.
    pub fn outputs(&self) -> u32 {
        self.net.outputs()
    }

    /// The same parameters and activations, with a result slot of its own.
    #[must_use]
    pub fn fork(&self, recording: &mut Recording) -> Self {
        let mut fork = self.clone();
        if let Some(last) = fork.activations.last_mut() {
            *last = recording.slot(format!("{}.fork", self.net.name), 1);
        }
        fork
    }

    /// Appends the pass over `x`; returns the slot and shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `shape` is smaller than the net's window or too large to index.
    pub fn record(&self, recording: &mut Recording, x: Slot, shape: &Shape) -> Result<(Slot, Shape), ShapeError> {
        let (input, mut x, mut shape) = ((x, shape), x, shape.clone());
        let mut dense = false;
        let join = |recording: &mut Recording, ours: (Slot, Shape)| match &self.branch {
            Some(branch) => branch.record(recording, input, (ours.0, &ours.1)),
            None => Ok(ours),
        };
        for ((layer, parameters), &y) in self.net.layers.iter().zip(&self.parameters).zip(&self.activations) {
            if matches!(layer, Layer::Heads(_)) {
                (x, shape) = join(recording, (x, shape))?;
            }
            let out = layer.output(&shape)?;
            recording.grow(y, out.elements() as usize);
            dense |= matches!(layer, Layer::Dense { .. });
            match (layer, parameters) {
                (Layer::MaxPool { k, stride }, _) => {
                    let (kernel, table, _) = MaxPool::new(&shape, *k, *stride)?;
                    let levels = recording.table("levels", table);
                    recording.push(kernel, &[x, levels, y]);
                }
                (Layer::Lrn, _) => recording.push(Lrn::new(&shape), &[x, y]),
                (_, Some(p)) if dense => {
                    recording.push(Dense::new(shape.n(), shape.item(), out.c()), &[x, p.weight, p.bias, p.slope, y]);
                }
                (layer, Some(p)) => {
                    let k = if let Layer::Conv { k, .. } = layer { *k } else { 1 };
                    let (kernel, table, _) = Conv::new(&shape, out.c(), k)?;
                    let levels = recording.table("levels", table);
                    recording.push(kernel, &[x, p.weight, p.bias, p.slope, levels, y]);
                }
                (_, None) => unreachable!("pooling and normalization alone have no parameters"),
            }
            (x, shape) = (y, out);
        }
        if self.net.hidden() < self.net.layers.len() { Ok((x, shape)) } else { join(recording, (x, shape)) }
    }
}

impl Branch {
    /// Appends the branch's pass over `input` at half the size; returns `ours` with its features behind.
    fn record(&self, recording: &mut Recording, input: (Slot, &Shape), ours: (Slot, &Shape)) -> Result<(Slot, Shape), ShapeError> {
        let (halve, half) = Halve::new(input.1)?;
        recording.grow(self.halved, half.elements() as usize);
        recording.push(halve, &[input.0, self.halved]);
        let (theirs, features) = self.forward.record(recording, self.halved, &half)?;
        let shape = ours.1.with(ours.1.n(), ours.1.item() + features.item())?;
        recording.grow(self.joined, shape.elements() as usize);
        recording.push(Join::new(shape.n(), ours.1.item(), features.item()), &[ours.0, theirs, self.joined]);
        Ok((self.joined, shape))
    }
}
