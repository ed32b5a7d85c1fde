//! [`Layer`]: what a node of a graph computes. One file per layer, backward under forward; this is the only place that lists them.

mod conv;
mod convolution;
mod dense;
mod elementwise;
mod halve;
mod join;
mod lrn;
mod max_pool;
mod norm;
mod pool;
mod prelu;
mod prelu_pool;

use super::parameter::Parameter;
use crate::record::{DeviceFacts, Recording, Slot};
use crate::tensor::{Shape, ShapeError};

pub use conv::ConvLayer;
pub use convolution::{ConvolutionLayer, LinearLayer};
pub use dense::DenseLayer;
pub use elementwise::{ActivationLayer, AddLayer, MultiplyLayer, ScaleLayer};
pub use halve::HalveLayer;
pub use join::JoinLayer;
pub use lrn::LrnLayer;
pub use max_pool::MaxPoolLayer;
pub use norm::{NormLayer, Statistics};
pub use pool::{ArgMaxPoolLayer, ChannelPoolLayer, MeanPoolLayer, PoolWindows, UnitRowsLayer, UpsampleLayer};
pub use prelu::PreluLayer;
pub use prelu_pool::PreluPoolLayer;

/// What a node computes.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each variant is documented at its type")]
pub enum Layer {
    /// Comes from outside.
    Input,
    /// Is learned.
    Tensor(Parameter),
    Conv(ConvLayer),
    Dense(DenseLayer),
    Prelu(PreluLayer),
    PreluPool(PreluPoolLayer),
    MaxPool(MaxPoolLayer),
    Lrn(LrnLayer),
    Halve(HalveLayer),
    Join(JoinLayer),
    Convolution(ConvolutionLayer),
    Linear(LinearLayer),
    Norm(NormLayer),
    Add(AddLayer),
    Scale(ScaleLayer),
    Multiply(MultiplyLayer),
    Activation(ActivationLayer),
    MeanPool(MeanPoolLayer),
    ArgMaxPool(ArgMaxPoolLayer),
    ChannelPool(ChannelPoolLayer),
    Upsample(UpsampleLayer),
    UnitRows(UnitRowsLayer),
}

impl Layer {
    /// Its shape rule and its passes.
    pub fn op(&self) -> &dyn Op {
        match self {
            Self::Input | Self::Tensor(_) => &Given,
            Self::Conv(layer) => layer,
            Self::Dense(layer) => layer,
            Self::Prelu(layer) => layer,
            Self::PreluPool(layer) => layer,
            Self::MaxPool(layer) => layer,
            Self::Lrn(layer) => layer,
            Self::Halve(layer) => layer,
            Self::Join(layer) => layer,
            Self::Convolution(layer) => layer,
            Self::Linear(layer) => layer,
            Self::Norm(layer) => layer,
            Self::Add(layer) => layer,
            Self::Scale(layer) => layer,
            Self::Multiply(layer) => layer,
            Self::Activation(layer) => layer,
            Self::MeanPool(layer) => layer,
            Self::ArgMaxPool(layer) => layer,
            Self::ChannelPool(layer) => layer,
            Self::Upsample(layer) => layer,
            Self::UnitRows(layer) => layer,
        }
    }

    /// Whether it computes nothing.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Input | Self::Tensor(_))
    }
}

macro_rules! into_layer {
    ($($variant:ident($layer:ident)),* $(,)?) => {
        $(impl From<$layer> for Layer {
            fn from(layer: $layer) -> Self {
                Self::$variant(layer)
            }
        })*
    };
}
into_layer!(
    Conv(ConvLayer),
    Dense(DenseLayer),
    Prelu(PreluLayer),
    PreluPool(PreluPoolLayer),
    MaxPool(MaxPoolLayer),
    Lrn(LrnLayer),
    Halve(HalveLayer),
    Join(JoinLayer),
    Convolution(ConvolutionLayer),
    Linear(LinearLayer),
    Norm(NormLayer),
    Add(AddLayer),
    Scale(ScaleLayer),
    Multiply(MultiplyLayer),
    Activation(ActivationLayer),
    MeanPool(MeanPoolLayer),
    ArgMaxPool(ArgMaxPoolLayer),
    ChannelPool(ChannelPoolLayer),
    Upsample(UpsampleLayer),
    UnitRows(UnitRowsLayer),
);

/// Where a layer is recorded.
pub struct Site<'a> {
    /// Its steps go here.
    pub recording: &'a mut Recording,
    /// Who will play it.
    pub device: DeviceFacts,
    /// The step's [`StepInputs`](crate::kernels::train::StepInputs) in a training pass: what dropout goes by. `None` leaves dropout out.
    pub schedule: Option<Slot>,
}

impl Site<'_> {
    /// Memory for a step or two.
    pub fn scratch(&mut self, label: &str, len: u32) -> Slot {
        self.recording.scratch(label, len as usize)
    }

    /// A gradient that a kernel computes beside others, and that nobody reads.
    pub fn unread(&mut self, len: u32) -> Slot {
        self.recording.slot("unread gradient", len as usize)
    }

    /// Slopes that make a kernel with an activation linear.
    pub fn ones(&mut self, len: u32) -> Slot {
        self.recording.table("linear", vec![1.0_f32.to_bits(); len as usize])
    }

    /// Slopes of a ReLU.
    pub fn zeros(&mut self, len: u32) -> Slot {
        self.recording.table("zeros", vec![0; len as usize])
    }
}

/// A node's result in a recording.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// Where it is.
    pub slot: Slot,
    /// Its shape.
    pub shape: &'a Shape,
}

/// What a layer is: shapes, and both passes as steps.
pub trait Op {
    /// For people.
    fn name(&self) -> &'static str;

    /// Shape of the result for inputs of shapes `x`.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if they do not fit the layer.
    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError>;

    /// Records the computation of `y`; returns what only the backward pass needs besides inputs and result.
    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot>;

    /// Records the gradients of the inputs that `dx` has a slot for, from `dy`. Adds to each, but for [`Op::overwrites`]. `dy` is of no use
    /// to anyone afterwards.
    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]);

    /// Records how running statistics follow what the forward pass saw, unless `status` has a fault: to come after the step's summary.
    fn track(&self, site: &mut Site<'_>, pass: &Taped<'_>, status: Slot) {
        let _ = (site, pass, status);
    }

    /// Whether the gradient of the first input is written in place of being added to: such a kernel need not have it cleared, which for the
    /// largest activations costs as much as the kernel itself. If another layer reads the same input, the pass adds it up.
    fn overwrites(&self) -> bool {
        false
    }
}

/// What the forward pass of a layer left for its backward pass.
#[derive(Debug)]
pub struct Taped<'a> {
    /// Inputs.
    pub x: &'a [Value<'a>],
    /// Result.
    pub y: Value<'a>,
    /// What [`Op::forward`] returned.
    pub kept: &'a [Slot],
}

/// Of inputs and tensors, which are there already.
struct Given;

impl Op for Given {
    fn name(&self) -> &'static str {
        "given"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(x[0].clone())
    }

    fn forward(&self, _: &mut Site<'_>, _: &[Value<'_>], _: Value<'_>) -> Vec<Slot> {
        Vec::new()
    }

    fn backward(&self, _: &mut Site<'_>, _: &Taped<'_>, _: Slot, _: &[Option<Slot>]) {}
}
