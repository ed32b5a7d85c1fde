//! Element-wise sums, products and activations.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Activation, ActivationBackward, Add, Axpy, Broadcast, Multiply, MultiplyAdd, MultiplySum};
use crate::kernels::train::Clear;
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Sum `a + b` of equal shapes. Inputs: `a`, `b`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddLayer;

/// Product `forward x` with a gradient scaled independently: `dx = backward dy`. With 1 and -1 it reverses
/// gradients. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ScaleLayer {
    /// Factor applied to values.
    pub forward: f32,
    /// Factor applied to gradients.
    pub backward: f32,
}

impl ScaleLayer {
    /// Gradient reversal: values are unchanged, gradients change sign (Ganin and Lempitsky 2015).
    pub const REVERSE: Self = Self { forward: 1.0, backward: -1.0 };
}

/// Product `x factor`, the factor being broadcast over channels, positions or nothing. Inputs: `x`, `factor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiplyLayer {
    /// Broadcast of the factor.
    pub over: Broadcast,
}

/// An activation without tensors. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivationLayer {
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// Leaky ReLU `x > 0 ? min(x, most) : slope x`.
    Relu {
        /// Factor for values that are not positive, at least 0; 0 for ReLU.
        slope: f32,
        /// Largest result, over 0: 6 for `ReLU6`, [`f32::MAX`] without a limit.
        most: f32,
    },
}

impl ActivationLayer {
    /// ReLU, `max(0, x)`.
    pub const RELU: Self = Self::Relu { slope: 0.0, most: f32::MAX };
}

impl Op for AddLayer {
    fn name(&self) -> &'static str {
        "add"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        x[0].same(x[1])
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(Add::new(y.shape.elements()), &[x[0].slot, x[1].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        for dx in dx.iter().flatten() {
            site.recording.push(Axpy::new(pass.y.shape.elements(), 1.0), &[dy, *dx]);
        }
    }
}

impl Op for ScaleLayer {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(Clear::new(y.shape.elements()), &[y.slot]);
        site.recording.push(Axpy::new(y.shape.elements(), self.forward), &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(Axpy::new(pass.y.shape.elements(), self.backward), &[dy, dx]);
        }
    }
}

impl Op for MultiplyLayer {
    fn name(&self) -> &'static str {
        "multiply"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        MultiplySum::new(x[0], self.over, 1.0)?;
        let want = self.over.len(x[0]);
        if x[1].elements() == want { Ok(x[0].clone()) } else { Err(ShapeError::Different { left: want, right: x[1].elements() }) }
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(Multiply::new(y.shape, self.over, 1.0), &[x[0].slot, x[1].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, shape) = (pass.x, pass.y.shape);
        if let Some(dfactor) = dx[1] {
            let kernel = MultiplySum::new(shape, self.over, 1.0).expect("checked when the graph was built");
            site.recording.push(kernel, &[x[0].slot, dy, dfactor]);
        }
        if let Some(dx) = dx[0] {
            site.recording.push(MultiplyAdd::new(shape, self.over, 1.0), &[dy, x[1].slot, dx]);
        }
    }
}

impl Op for ActivationLayer {
    fn name(&self) -> &'static str {
        "activation"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let len = y.shape.elements();
        let kernel = match *self {
            Self::Sigmoid => Activation::sigmoid(len),
            Self::Relu { slope, most } => Activation::relu(len, slope, most),
        };
        site.recording.push(kernel, &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let Some(dx) = dx[0] else { return };
        let len = pass.y.shape.elements();
        let kernel = match *self {
            Self::Sigmoid => ActivationBackward::sigmoid(len),
            Self::Relu { slope, most } => ActivationBackward::relu(len, slope, most),
        };
        site.recording.push(kernel, &[pass.y.slot, dy, dx]);
    }
}
