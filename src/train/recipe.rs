//! A training run as data: a [`Recipe`] makes a [`Program`], which a [`Trainer`](super::Trainer) plays.

use super::optimizer::Optimizer;
use crate::engine::Session;
use crate::nets::{Learned, NetError};
use crate::record::{DeviceFacts, Part, Recording, Slot};

/// Entries of a report that the device keeps until the host reads them.
pub const RING: u32 = 256;

/// A part and how often it is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// For every micro-batch.
    Each(Part),
    /// Once.
    Once(Part),
}

/// What the device says of the steps: a ring of entries, and the first fault.
#[derive(Debug, Clone)]
pub struct ReportSlots {
    /// Entries by [`Summary`](crate::kernels::train::Summary).
    pub ring: Slot,
    /// A [`Status`](crate::kernels::train::Status).
    pub status: Slot,
    /// Name of each figure of an entry.
    pub meters: Vec<String>,
    /// So many of the first are losses of tasks.
    pub losses: usize,
}

/// Everything that a trainer plays.
pub struct Program {
    /// All steps.
    pub recording: Recording,
    /// Micro-batches of a batch.
    pub micro_batches: u32,
    /// Samples of each.
    pub samples: u32,
    /// One step of training.
    pub step: Vec<Beat>,
    /// What comes of it.
    pub report: ReportSlots,
    /// The same of a batch without learning.
    pub validation: Vec<Beat>,
    /// What comes of that.
    pub validation_report: ReportSlots,
    /// The input with the step's [`StepInputs`](crate::kernels::train::StepInputs).
    pub schedule: Slot,
    /// What learns, in the order in which gradients are numbered.
    pub learned: Vec<Learned>,
    /// By which rule.
    pub optimizer: Optimizer,
}

/// How something is trained.
pub trait Recipe {
    /// Samples of one step.
    type Batch;
    /// Slots that [`Recipe::write`] writes.
    type Inputs;

    /// What is trained, for people: `onet`.
    fn name(&self) -> &'static str;

    /// Records everything for `device`.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a batch is too large to index.
    fn program(&self, device: DeviceFacts) -> Result<(Program, Self::Inputs), NetError>;

    /// Writes the `inputs` of one micro-batch of `batch`.
    fn write(&self, inputs: &Self::Inputs, batch: &Self::Batch, micro_batch: u32, session: &mut Session);
}
