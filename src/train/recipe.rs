//! Training as data: a [`Recipe`] creates a [`Program`], which a [`Trainer`](super::Trainer) plays.

use super::optimizer::Optimizer;
use crate::engine::Session;
use crate::nets::{Learned, NetError};
use crate::record::{DeviceFacts, Part, Recording, Slot};

/// Number of report entries that the device keeps until the host reads them.
pub const RING: u32 = 256;

/// A part of the recording, and how often it is played per step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// Played once for every micro-batch.
    Each(Part),
    /// Played once per step.
    Once(Part),
}

/// Reports of the device on its steps: a ring of entries, and the first fault.
#[derive(Debug, Clone)]
pub struct ReportSlots {
    /// Ring of entries, written by [`Summary`](crate::kernels::train::Summary).
    pub ring: Slot,
    /// Slot of a [`Status`](crate::kernels::train::Status).
    pub status: Slot,
    /// Names of the figures of an entry.
    pub meters: Vec<String>,
    /// Number of figures that are losses of tasks; these come first.
    pub losses: usize,
}

/// Everything that a trainer plays.
pub struct Program {
    /// Recording with all steps.
    pub recording: Recording,
    /// Number of micro-batches per batch.
    pub micro_batches: u32,
    /// Number of samples per micro-batch.
    pub samples: u32,
    /// Beats of one training step.
    pub step: Vec<Beat>,
    /// Report of a training step.
    pub report: ReportSlots,
    /// Beats of one validation batch, without learning.
    pub validation: Vec<Beat>,
    /// Report of a validation batch.
    pub validation_report: ReportSlots,
    /// Input slot of the step's [`StepInputs`](crate::kernels::train::StepInputs).
    pub schedule: Slot,
    /// Learned tensors, in the order in which gradients are numbered.
    pub learned: Vec<Learned>,
    /// Optimizer that updates the learned tensors.
    pub optimizer: Optimizer,
}

/// Description of what is trained, and how.
pub trait Recipe {
    /// Samples of one step.
    type Batch;
    /// Slots written by [`Recipe::write`].
    type Inputs;

    /// Returns the name of what is trained, such as `onet`.
    fn name(&self) -> &'static str;

    /// Records the program for `device`.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if a batch is too large to index.
    fn program(&self, device: DeviceFacts) -> Result<(Program, Self::Inputs), NetError>;

    /// Writes the `inputs` of one micro-batch of `batch`.
    fn write(&self, inputs: &Self::Inputs, batch: &Self::Batch, micro_batch: u32, session: &mut Session);
}
