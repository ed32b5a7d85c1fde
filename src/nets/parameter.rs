//! [`Parameter`]: a tensor that a net learns.

use crate::record::State;

/// What a tensor is before anything is learned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Initial {
    /// Random: a kernel or matrix, which weight decay applies to. With the slope of the PReLU or ReLU behind it, if there is one.
    Weight {
        /// 0 of a ReLU.
        slope: Option<f32>,
    },
    /// Every element the same: biases, slopes.
    Constant(f32),
    /// Every element the same, and no gradient ever changes it: running statistics.
    Running(f32),
}

/// A tensor that a net learns, or several side by side in one slot.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Names, shapes, and how kernels read them.
    pub state: State,
    /// Before anything is learned.
    pub start: Initial,
}

impl Parameter {
    /// Whether it has a gradient.
    pub fn can_learn(&self) -> bool {
        !matches!(self.start, Initial::Running(_))
    }

    /// Whether weight decay applies to it.
    pub fn is_weight(&self) -> bool {
        matches!(self.start, Initial::Weight { .. })
    }
}
