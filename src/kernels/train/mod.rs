//! Kernels of training: input, losses, hard sample mining, deterministic sums, optimizers.

mod adam;
mod clear;
mod cross_entropy;
mod cross_entropy_backward;
mod mine;
mod place_items;
mod reduce;
mod running_statistics;
mod sgd;
mod squared_error;
mod squared_error_backward;
mod squares;
mod summary;
mod take_items;
mod unpack;

pub use adam::Adam;
pub use clear::Clear;
pub use cross_entropy::CrossEntropy;
pub use cross_entropy_backward::CrossEntropyBackward;
pub use mine::{Mine, MiningRule};
pub use place_items::PlaceItems;
pub use reduce::Reduce;
pub use running_statistics::RunningStatistics;
pub use sgd::Sgd;
pub use squared_error::SquaredError;
pub use squared_error_backward::SquaredErrorBackward;
pub use squares::Squares;
pub use summary::{Figure, Status, Summary};
pub use take_items::TakeItems;
pub use unpack::Unpack;

use crate::kernels::words;
use crate::tensor::noise;

/// The values that the host sends to the device before each step: four-byte words in one small slot.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepInputs {
    /// Number of steps before this one.
    pub step: u32,
    /// Seed of dropout.
    pub seed: u32,
    /// Learning rate.
    pub rate: f32,
    /// Bias correction `1 - beta1^t` of Adam in this step, counting `t` from 1.
    pub correction1: f32,
    /// Bias correction `1 - beta2^t` of Adam.
    pub correction2: f32,
    /// First sample of the current micro-batch.
    pub first: u32,
    unused: [u32; 2],
}

impl StepInputs {
    /// Size in four-byte words.
    pub const WORDS: usize = 8;

    /// Creates the inputs of the step after `step` others, with learning rate `rate` and the decay rates of
    /// Adam.
    pub fn new(step: u32, seed: u32, rate: f64, betas: [f64; 2]) -> Self {
        // Uses the decay rates as f32, as the kernel has them: with f64 the first step would be off by 1e-5
        // for rates near 1.
        let correction = |beta: f64| (1.0 - f64::from(beta as f32).powf(f64::from(step) + 1.0)) as f32;
        Self { step, seed, rate: rate as f32, correction1: correction(betas[0]), correction2: correction(betas[1]), ..Self::default() }
    }

    /// Returns the same inputs for the micro-batch whose first sample is `first`.
    #[must_use]
    pub fn from(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// Returns the step inputs in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(&slot[..Self::WORDS])[0]
    }

    fn words(self) -> Vec<f32> {
        bytemuck::cast_slice(&[self]).to_vec()
    }
}

/// The three loss tasks that share a net (spec section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossTask {
    /// Classification as face or background: cross entropy.
    Class,
    /// Regression of box offsets: squared error.
    Box,
    /// Regression of landmarks: squared error.
    Landmarks,
}

impl LossTask {
    /// All tasks, in the order of their rows and bits.
    pub const ALL: [Self; 3] = [Self::Class, Self::Box, Self::Landmarks];

    /// Returns the task's row among losses and scales, which is also its bit in a sample's kind.
    pub fn index(self) -> u32 {
        self as u32
    }

    /// Returns the name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Box => "box",
            Self::Landmarks => "landmarks",
        }
    }

    /// Returns the first of the task's values among a sample's targets, and their number.
    pub fn targets(self) -> (u32, u32) {
        match self {
            Self::Class => (0, 0),
            Self::Box => (0, 4),
            Self::Landmarks => (4, 10),
        }
    }
}

/// Bits of a sample's kind, which state what the sample is and which tasks it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleBits(pub u32);

impl SampleBits {
    /// A sample without a face.
    pub const NEGATIVE: Self = Self(1);
    /// A face with its box.
    pub const POSITIVE: Self = Self(1 | 2 | 8);
    /// Part of a face, with its box.
    pub const PART: Self = Self(2);
    /// A face with its landmarks.
    pub const LANDMARKS: Self = Self(4);
    /// An empty sample, which fills up a batch.
    pub const NONE: Self = Self(0);

    /// Returns whether the sample has `task`.
    pub fn has(self, task: LossTask) -> bool {
        self.0 >> task.index() & 1 != 0
    }

    /// Returns 1 for a face and 0 otherwise: the target of classification without a teacher.
    pub fn probability(self) -> f32 {
        f32::from(u8::from(self.is_face()))
    }

    /// Returns whether the sample is a face.
    pub fn is_face(self) -> bool {
        self.0 & 8 != 0
    }
}

/// Number of targets per sample: box, then landmarks.
pub const TARGETS: usize = 14;

/// Returns the kinds of `n` samples, mixed, for samples of kernels.
fn sample_kinds(n: usize) -> Vec<f32> {
    let kinds = [SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS, SampleBits::NONE, SampleBits(15)];
    words(noise(n, 77).iter().map(|r| kinds[((r + 1.0) * 3.0) as usize % kinds.len()].0))
}

/// Returns the face probabilities of `n` samples, some of them 0 or 1 and some in between.
fn sample_faces(n: usize) -> Vec<f32> {
    noise(n, 79).iter().map(|r| (1.5 * r + 0.5).clamp(0.0, 1.0)).collect()
}

/// Returns `n` losses per task, with many ties.
fn sample_losses(n: usize) -> Vec<f32> {
    noise(3 * n, 78).iter().map(|r| ((r + 1.0) * 20.0).floor() / 16.0).collect()
}
