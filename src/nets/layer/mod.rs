//! [`Layer`]: the computation of a node of a graph. Every layer has a file of its own, with the backward pass
//! below the forward pass; only this file lists them all.

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

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::parameter::Parameter;
use crate::record::{DeviceFacts, Recording, Slot};
use crate::tensor::{Shape, ShapeError};

pub use conv::ConvLayer;
pub use convolution::{ConvolutionLayer, ConvolutionPreluLayer, LinearLayer};
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

/// The enum of all layers, from the one list of them. Those that a file may hold are not skipped.
macro_rules! layers {
    ($($(#[$meta:meta])* $variant:ident($layer:ident)),* $(,)?) => {
        /// Computation of a node.
        #[derive(Debug, Clone, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum Layer {
            /// An input of the graph.
            #[serde(skip)]
            Input,
            /// A learned tensor.
            #[serde(skip)]
            Tensor(Parameter),
            $($(#[$meta])* $variant($layer)),*
        }

        impl Layer {
            /// Returns the layer's shape rule and passes.
            pub fn op(&self) -> &dyn Op {
                match self {
                    Self::Input | Self::Tensor(_) => &Given,
                    $(Self::$variant(layer) => layer),*
                }
            }
        }

        $(impl From<$layer> for Layer {
            fn from(layer: $layer) -> Self {
                Self::$variant(layer)
            }
        })*
    };
}
layers!(
    #[serde(skip)]
    Conv(ConvLayer),
    #[serde(skip)]
    Dense(DenseLayer),
    Prelu(PreluLayer),
    #[serde(skip)]
    PreluPool(PreluPoolLayer),
    #[serde(skip)]
    MaxPool(MaxPoolLayer),
    #[serde(skip)]
    Lrn(LrnLayer),
    #[serde(skip)]
    Halve(HalveLayer),
    Join(JoinLayer),
    Convolution(ConvolutionLayer),
    #[serde(skip)]
    ConvolutionPrelu(ConvolutionPreluLayer),
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

impl Layer {
    /// Returns whether the node is an input or a tensor, which computes nothing.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Input | Self::Tensor(_))
    }
}

/// Context in which a layer is recorded.
pub struct Site<'a> {
    /// Recording that receives the layer's steps.
    pub recording: &'a mut Recording,
    /// Device that will play the recording.
    pub device: DeviceFacts,
    /// In a training pass, the step's [`StepInputs`](crate::kernels::train::StepInputs), which determine
    /// dropout. `None` disables dropout.
    pub schedule: Option<Slot>,
}

impl Site<'_> {
    /// Creates scratch memory of `len` elements, for a step or two.
    pub fn scratch(&mut self, label: &str, len: u32) -> Slot {
        self.recording.scratch(label, len as usize)
    }

    /// Creates a slot for a gradient that a kernel always computes but that is never read.
    pub fn unread(&mut self, len: u32) -> Slot {
        self.recording.slot("unread gradient", len as usize)
    }

    /// Creates slopes of 1, which make a kernel with an activation linear.
    pub fn ones(&mut self, len: u32) -> Slot {
        self.recording.table("linear", vec![1.0_f32.to_bits(); len as usize])
    }

    /// Creates slopes of 0, those of a ReLU.
    pub fn zeros(&mut self, len: u32) -> Slot {
        self.recording.table("zeros", vec![0; len as usize])
    }
}

/// Result of a node in a recording.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a> {
    /// Slot of the result.
    pub slot: Slot,
    /// Shape of the result.
    pub shape: &'a Shape,
}

/// Definition of a layer: its shape rule, and both passes as steps.
pub trait Op {
    /// Returns the name of the layer, for messages and profiles.
    fn name(&self) -> &'static str;

    /// Returns the possible numbers of inputs.
    fn inputs(&self) -> RangeInclusive<usize> {
        1..=1
    }

    /// Returns the shape of the result for inputs of shapes `x`, of which there are as many as
    /// [`Op::inputs`] allows.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the inputs do not fit the layer.
    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError>;

    /// Records the computation of `y`; returns the slots that the backward pass needs besides inputs and
    /// result.
    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot>;

    /// Records the gradients of the inputs that `dx` has a slot for, from `dy`. Gradients are added to the
    /// slots, except as stated by [`Op::overwrites`]. The contents of `dy` are not used afterwards.
    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]);

    /// Records the update of running statistics from those of the forward pass, which is skipped if `status`
    /// has a fault. To be recorded after the step's summary.
    fn track(&self, site: &mut Site<'_>, pass: &Taped<'_>, status: Slot) {
        let _ = (site, pass, status);
    }

    /// Returns whether the gradient of the first input is overwritten instead of added to. The slot of such a
    /// gradient need not be cleared, which for the largest activations costs as much as the kernel itself. If
    /// another layer reads the same input, the pass adds the gradients.
    fn overwrites(&self) -> bool {
        false
    }
}

/// Slots of a layer's forward pass that its backward pass reads.
#[derive(Debug)]
pub struct Taped<'a> {
    /// Inputs of the layer.
    pub x: &'a [Value<'a>],
    /// Result of the layer.
    pub y: Value<'a>,
    /// Slots returned by [`Op::forward`].
    pub kept: &'a [Slot],
}

/// The layer of inputs and tensors, which records nothing.
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
