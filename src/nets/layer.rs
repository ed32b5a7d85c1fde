//! [`Layer`]: what a net is made of, and how its forward pass is recorded.

use crate::kernels::nn::{Conv, Dense, MaxPool};
use crate::record::{Recording, Slot};
use crate::tensor::{Shape, ShapeError, Tensor};
use crate::weights::{Weights, WeightsError};

/// One layer. Tensors are named `<net>.<layer>.{weight, bias, slope}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Valid convolution, stride 1, bias, PReLU.
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
    /// Fully connected over the whole item (`c * h * w` in NCHW order), bias, PReLU.
    Dense {
        /// Name of its tensors.
        name: &'static str,
        /// Outputs.
        out: u32,
    },
    /// Linear outputs side by side, each with its own tensors: a 1x1 convolution, or after a dense layer a dense one.
    Heads(&'static [(&'static str, u32)]),
}

/// A net.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Net {
    /// First part of its tensors' names.
    pub name: &'static str,
    /// Side of the input it was trained on, px.
    pub side: u32,
    /// Layers in order.
    pub layers: &'static [Layer],
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
}

impl Net {
    /// Puts the net's parameters into `recording`.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    pub fn forward(self, recording: &mut Recording, weights: &Weights) -> Result<Forward, NetError> {
        let (mut parameters, mut activations) = (Vec::new(), Vec::new());
        let mut shape = Shape::new([1, 3, self.side, self.side])?;
        for (i, layer) in self.layers.iter().enumerate() {
            parameters.push(self.parameters(i, &shape, recording, weights)?);
            shape = layer.output(&shape)?;
            activations.push(recording.slot(format!("{}.{i}", self.name), 1));
        }
        Ok(Forward { net: self, parameters, activations })
    }

    fn parameters(self, i: usize, x: &Shape, recording: &mut Recording, weights: &Weights) -> Result<Option<Parameters>, NetError> {
        let Some(Tensors { name, weight, bias, slope, dense }) = self.tensors(i, x, weights)? else { return Ok(None) };
        let (weight, bias, slope) = if dense {
            (Dense::pack(&weight), Dense::pad(&bias), Dense::pad(&slope))
        } else {
            (Conv::pack(&weight), Conv::pad(&bias), Conv::pad(&slope))
        };
        let mut constant = |part: &str, data: Vec<f32>| recording.constant(format!("{}.{name}.{part}", self.name), data);
        Ok(Some(Parameters { weight: constant("weight", weight), bias: constant("bias", bias), slope: constant("slope", slope) }))
    }

    /// The tensors of layer `i`, whose input is `x`; `None` for pooling.
    pub(super) fn tensors(self, i: usize, x: &Shape, weights: &Weights) -> Result<Option<Tensors>, NetError> {
        let get = |layer: &str, part: &str, shape: &[u32]| {
            let shape: Vec<usize> = shape.iter().map(|&size| size as usize).collect();
            weights.tensor(&format!("{}.{layer}.{part}", self.name), &shape)
        };
        let dense = self.layers[..=i].iter().any(|layer| matches!(layer, Layer::Dense { .. }));
        let layer = |name: &'static str, out: u32, shape: &[u32]| {
            let (weight, bias) = (get(name, "weight", shape)?.clone(), get(name, "bias", &[out])?.data.clone());
            let slope = get(name, "slope", &[out])?.data.clone();
            Ok(Some(Tensors { name, weight, bias, slope, dense }))
        };
        match self.layers[i] {
            Layer::MaxPool { .. } => Ok(None),
            Layer::Conv { name, k, out } => layer(name, out, &[out, x.c(), k, k]),
            Layer::Dense { name, out } => layer(name, out, &[out, x.item()]),
            Layer::Heads(heads) => {
                let mut weight = Tensor { shape: vec![0, x.c() as usize], data: Vec::new() };
                let mut bias = Vec::new();
                for &(head, out) in heads {
                    let shape: &[u32] = if dense { &[out, x.c()] } else { &[out, x.c(), 1, 1] };
                    weight.data.extend_from_slice(&get(head, "weight", shape)?.data);
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
            Self::Dense { out, .. } => Shape::new([x.n(), out, 1, 1]),
            Self::Heads(heads) => x.with(x.n(), heads.iter().map(|(_, out)| out).sum()),
        }
    }
}

impl Forward {
    /// Outputs of one item or cell.
    pub fn outputs(&self) -> u32 {
        self.net
            .layers
            .iter()
            .rev()
            .find_map(|layer| if let Layer::Heads(heads) = layer { Some(heads) } else { None })
            .map_or(0, |heads| heads.iter().map(|(_, out)| out).sum())
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
        let (mut x, mut shape) = (x, shape.clone());
        let mut dense = false;
        for ((layer, parameters), &y) in self.net.layers.iter().zip(&self.parameters).zip(&self.activations) {
            let out = layer.output(&shape)?;
            recording.grow(y, out.elements() as usize);
            dense |= matches!(layer, Layer::Dense { .. });
            match (layer, parameters) {
                (Layer::MaxPool { k, stride }, _) => {
                    let (kernel, table, _) = MaxPool::new(&shape, *k, *stride)?;
                    let levels = recording.table("levels", table);
                    recording.push(kernel, &[x, levels, y]);
                }
                (_, Some(p)) if dense => {
                    recording.push(Dense::new(shape.n(), shape.item(), out.c()), &[x, p.weight, p.bias, p.slope, y]);
                }
                (layer, Some(p)) => {
                    let k = if let Layer::Conv { k, .. } = layer { *k } else { 1 };
                    let (kernel, table, _) = Conv::new(&shape, out.c(), k)?;
                    let levels = recording.table("levels", table);
                    recording.push(kernel, &[x, p.weight, p.bias, p.slope, levels, y]);
                }
                (_, None) => unreachable!("only pooling has no parameters"),
            }
            (x, shape) = (y, out);
        }
        Ok((x, shape))
    }
}
