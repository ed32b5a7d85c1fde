//! Training loop: prefetches batches, submits one step at a time, reads losses now and then, validates, and
//! writes checkpoints.
//!
//! It accesses the net through [`Learner`] and the crops through [`Batches`], and is independent of engines
//! and images. A run that was stopped, killed or failed is resumed by the same call: it continues from the
//! newest valid checkpoint in its folder.

mod folder;
mod session;

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Meters;
use super::checkpoint::CheckpointError;
use super::config::TrainConfig;
use super::metrics::{MetricsError, Record};
use crate::tensor::Tensor;
use crate::weights::{Weights, WeightsError};

pub use folder::Folder;

/// An error of another crate or module.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A net in training.
pub trait Learner {
    /// A fixed number of crops with their targets; missing crops are filled up with ones without tasks.
    type Batch: Send;

    /// Trains on `batch` at learning rate `rate`, in one submission and without reading back. Equal steps
    /// from equal states give equal bits.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn step(&mut self, batch: &Self::Batch, rate: f64) -> Result<(), RunError>;

    /// Returns the losses and hits of the steps since the last call.
    ///
    /// # Errors
    ///
    /// [`RunError::NotFinite`] if any step since the start had a loss or gradient that is NaN or infinite,
    /// [`RunError::Learner`] if the device fails.
    fn losses(&mut self) -> Result<Meters, RunError>;

    /// Returns the losses of all samples of `batch`, mined or not, and the hits, without learning.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn evaluate(&mut self, batch: &Self::Batch) -> Result<Meters, RunError>;

    /// Returns all weights by name, and the optimizer's state as `optimizer.<moment>.<weight>`.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn export(&mut self) -> Result<BTreeMap<String, Tensor>, RunError>;

    /// Restores the state that [`Learner::export`] returned as `tensors` after `step` steps.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if a tensor is missing or misshapen, or the device fails.
    fn import(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<(), RunError>;
}

/// A source of batches. Every batch is a function of its number alone, so that a run can start at any step.
pub trait Batches: Sync {
    /// Type of batch that the [`Learner`] takes.
    type Batch: Send;

    /// Returns the number of samples per batch.
    fn size(&self) -> u32;

    /// Returns the number of steps per epoch, at least 1.
    fn per_epoch(&self) -> u64;

    /// Returns the batch for the step after `step` others.
    ///
    /// # Errors
    ///
    /// [`RunError::Data`] if crops cannot be read.
    fn batch(&self, step: u64) -> Result<Self::Batch, RunError>;

    /// Returns the number of validation batches.
    fn validation_batches(&self) -> u64;

    /// Returns the validation batch `index`. Validation samples are never augmented, and each is in exactly
    /// one batch.
    ///
    /// # Errors
    ///
    /// [`RunError::Data`] if crops cannot be read.
    fn validation_batch(&self, index: u64) -> Result<Self::Batch, RunError>;

    /// Returns a hash of the contents: equal crops have equal hashes.
    fn hash(&self) -> &str;
}

/// Error that ended a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Measurements cannot be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Weights cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Crops cannot be read.
    #[error("crops cannot be read")]
    Data(#[source] Cause),
    /// The system cannot start the thread that makes batches ahead.
    #[error("the thread that makes batches ahead cannot be started")]
    Thread(#[source] io::Error),
    /// The net or its device failed.
    #[error("training of {net} failed")]
    Learner {
        /// Name of the net.
        net: String,
        /// Cause of the error.
        #[source]
        source: Cause,
    },
    /// A loss or gradient is NaN or infinite.
    #[error("the {what} of {net} is not finite in step {step}: the learning rate is too high, or crops or weights are broken; {kept}")]
    NotFinite {
        /// Name of the net.
        net: String,
        /// Number of the step, from 1.
        step: u64,
        /// Task whose loss, or tensors whose gradient, is not finite.
        what: String,
        /// Checkpoint that remains.
        kept: Kept,
    },
    /// The training data or settings differ from those the run began with.
    #[error("{folder:?} began with {what} {began}, now it is {now}; go on with the old, or begin in another folder")]
    Changed {
        /// Folder of the run.
        folder: PathBuf,
        /// Name of what has changed.
        what: &'static str,
        /// Value at the beginning of the run.
        began: String,
        /// Current value.
        now: String,
    },
    /// Another process is training in the folder.
    #[error("another process is training in {folder:?}; wait for it or stop it, or use another folder")]
    Locked {
        /// Folder of the run.
        folder: PathBuf,
    },
    /// The folder of the run cannot be created or used.
    #[error("cannot use the folder {path:?} for a training run; check your rights and the free space")]
    Folder {
        /// Path of the folder.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The thread that prepares batches ended without reporting an error.
    #[error("the thread that makes batches ended early; this is a mistake in the program")]
    Feed,
}

/// The checkpoint that remains after a failed run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept(pub Option<PathBuf>);

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(path) => write!(f, "the last good checkpoint is {path:?}"),
            None => f.write_str("there is no checkpoint yet"),
        }
    }
}

/// Progress of a run, as reported to an observer.
#[derive(Debug)]
pub enum Event<'a> {
    /// The run begins after `step` of `steps` steps.
    Begin {
        /// Number of steps done by earlier runs.
        step: u64,
        /// Number of steps of the whole run.
        steps: u64,
        /// Number of steps per epoch.
        per_epoch: u64,
        /// Number of samples per step.
        batch: u32,
    },
    /// A newer checkpoint could not be read, so an older one is used.
    Unreadable(&'a CheckpointError),
    /// A step is done.
    Step,
    /// A record of measurements was written.
    Measured(&'a Record),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// The last validation loss is the lowest so far.
    Best,
}

/// Outcome of a run that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Finished,
    /// The run was stopped on request, after completing its step and saving.
    Stopped,
}

/// A training run: learner, data, settings and folder.
pub struct Run<'a, L, B> {
    /// Name of the net: `pnet`, `rnet` or `onet`.
    pub net: &'a str,
    /// Net in training.
    pub learner: L,
    /// Training and validation crops.
    pub batches: &'a B,
    /// All settings.
    pub config: &'a TrainConfig,
    /// Folder for checkpoints, measurements and the final weights.
    pub folder: &'a Folder,
    /// Weights of the other nets, stored in each checkpoint so that `detect` can use it.
    pub others: Option<&'a Weights>,
    /// Ends the run after the current step once it is set to true by any thread.
    pub stop: &'a AtomicBool,
}

impl<L: Learner, B: Batches<Batch = L::Batch>> Run<'_, L, B> {
    /// Trains to the end, starting from the newest valid checkpoint in the folder if there is one.
    ///
    /// # Errors
    ///
    /// [`RunError`]; the last valid checkpoint is kept.
    pub fn run(self, mut watch: impl FnMut(&Event<'_>)) -> Result<End, RunError> {
        session::run(self, &mut watch)
    }
}

#[cfg(test)]
mod tests;
