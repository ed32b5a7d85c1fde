//! [`Parameter`]: a tensor that a net learns.

use crate::record::State;

/// Initial value of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// A kernel or matrix, drawn at random, to which weight decay applies.
    Weight {
        /// Slope of the PReLU or ReLU after it, which is 0 for a ReLU; `None` without an activation.
        slope: Option<f32>,
    },
    /// The same value for every element: biases, slopes.
    Constant(f32),
    /// The same value for every element of a tensor without gradient: running statistics.
    Running(f32),
}

/// A tensor that a net learns, or several side by side in one slot.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Names, shapes and packing.
    pub state: State,
    /// Initial value.
    pub start: Initial,
}

impl Parameter {
    /// Returns whether the tensor has a gradient.
    pub fn can_learn(&self) -> bool {
        !matches!(self.start, Initial::Running(_))
    }

    /// Returns whether weight decay applies to the tensor.
    pub fn is_weight(&self) -> bool {
        matches!(self.start, Initial::Weight { .. })
    }
}
