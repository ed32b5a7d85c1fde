//! Kernels of training: input, losses, hard sample mining, sums in fixed order, optimizers.

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

/// What the host tells the device before each step: four-byte words of one small slot.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct StepInputs {
    /// Steps before this one.
    pub step: u32,
    /// Of dropout.
    pub seed: u32,
    /// Learning rate.
    pub rate: f32,
    /// Adam's `1 - beta1^t` of this step, `t` from 1.
    pub correction1: f32,
    /// `1 - beta2^t`.
    pub correction2: f32,
    /// First sample of the micro-batch at hand.
    pub first: u32,
    unused: [u32; 2],
}

impl StepInputs {
    /// Four-byte words.
    pub const WORDS: usize = 8;

    /// Of the step after `step` others, at learning rate `rate`, with Adam's decay rates.
    pub fn new(step: u32, seed: u32, rate: f64, betas: [f64; 2]) -> Self {
        // Of the rates as the kernel has them: those of f64 would make the first step of rates near 1 longer or shorter by 1e-5.
        let correction = |beta: f64| (1.0 - f64::from(beta as f32).powf(f64::from(step) + 1.0)) as f32;
        Self { step, seed, rate: rate as f32, correction1: correction(betas[0]), correction2: correction(betas[1]), ..Self::default() }
    }

    /// The same for the micro-batch whose first sample is `first`.
    #[must_use]
    pub fn from(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// The schedule in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(&slot[..Self::WORDS])[0]
    }

    fn words(self) -> Vec<f32> {
        bytemuck::cast_slice(&[self]).to_vec()
    }
}

/// The three tasks that share a net (spec section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LossTask {
    /// Face or not: cross entropy.
    Class,
    /// Box offsets: squared error.
    Box,
    /// Landmarks: squared error.
    Landmarks,
}

impl LossTask {
    /// In the order of their rows and bits.
    pub const ALL: [Self; 3] = [Self::Class, Self::Box, Self::Landmarks];

    /// Its row among losses and scales, and its bit in a sample's kind.
    pub fn index(self) -> u32 {
        self as u32
    }

    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::Box => "box",
            Self::Landmarks => "landmarks",
        }
    }

    /// Where its values begin among a sample's targets, and how many there are.
    pub fn targets(self) -> (u32, u32) {
        match self {
            Self::Class => (0, 0),
            Self::Box => (0, 4),
            Self::Landmarks => (4, 10),
        }
    }
}

/// Bits of a sample's kind: what it is and which tasks it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleBits(pub u32);

impl SampleBits {
    /// No face.
    pub const NEGATIVE: Self = Self(1);
    /// A face with its box.
    pub const POSITIVE: Self = Self(1 | 2 | 8);
    /// Part of a face, with its box.
    pub const PART: Self = Self(2);
    /// A face with its landmarks.
    pub const LANDMARKS: Self = Self(4);
    /// Nothing: fills a batch up.
    pub const NONE: Self = Self(0);

    /// Whether a loss applies.
    pub fn has(self, task: LossTask) -> bool {
        self.0 >> task.index() & 1 != 0
    }

    /// 1 for a face, 0 for none: what a classification without a teacher should say.
    pub fn probability(self) -> f32 {
        f32::from(u8::from(self.is_face()))
    }

    /// Whether it is a face.
    pub fn is_face(self) -> bool {
        self.0 & 8 != 0
    }
}

/// Targets of a sample: box, then landmarks.
pub const TARGETS: usize = 14;

/// Kinds of `n` samples, all mixed, for samples of kernels.
fn sample_kinds(n: usize) -> Vec<f32> {
    let kinds = [SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS, SampleBits::NONE, SampleBits(15)];
    words(noise(n, 77).iter().map(|r| kinds[((r + 1.0) * 3.0) as usize % kinds.len()].0))
}

/// Probabilities of `n` samples: certain ones, and some between.
fn sample_faces(n: usize) -> Vec<f32> {
    noise(n, 79).iter().map(|r| (1.5 * r + 0.5).clamp(0.0, 1.0)).collect()
}

/// `n` losses with many equal ones, per task.
fn sample_losses(n: usize) -> Vec<f32> {
    noise(3 * n, 78).iter().map(|r| ((r + 1.0) * 20.0).floor() / 16.0).collect()
}
