//! The loop of a training run: batches made ahead, one submission a step, losses read now and then, validation, checkpoints.
//!
//! It knows a net that learns as a [`Learner`] and crops as [`Batches`], and nothing of engines or images. A run that is stopped, killed
//! or fails is gone on with by the same call: the newest good checkpoint in its folder decides where it begins.

mod folder;
mod session;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use super::Meters;
use super::checkpoint::CheckpointError;
use super::config::TrainConfig;
use super::metrics::{MetricsError, Record};
use crate::tensor::Tensor;
use crate::weights::{Weights, WeightsError};

pub use folder::Folder;

/// Any other crate's or module's error.
pub type Cause = Box<dyn Error + Send + Sync>;

/// A net that learns.
pub trait Learner {
    /// Crops with what is to be said of them, a fixed number; fewer are filled up with ones that have no task.
    type Batch: Send;

    /// Learns from `batch` at learning rate `rate`: one submission, and nothing is read back. Equal steps from equal states give equal bits.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn step(&mut self, batch: &Self::Batch, rate: f64) -> Result<(), RunError>;

    /// What was lost and told right in the steps since this was last asked.
    ///
    /// # Errors
    ///
    /// [`RunError::NotFinite`] if any step since the start had a loss or gradient that is NaN or infinite, [`RunError::Learner`] if the
    /// device fails.
    fn losses(&mut self) -> Result<Meters, RunError>;

    /// Losses of all samples of `batch`, mined or not, and hits, without learning.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn evaluate(&mut self, batch: &Self::Batch) -> Result<Meters, RunError>;

    /// All weights by their names, and the optimizer's state as `optimizer.<what>.<weight>`.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the device fails.
    fn export(&mut self) -> Result<BTreeMap<String, Tensor>, RunError>;

    /// Takes the place of a learner that [`Learner::export`]ed `tensors` after `step` steps.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if a tensor is missing or misshapen, or the device fails.
    fn import(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<(), RunError>;
}

/// Where crops come from. Every batch is a function of its number alone, so that a run can begin anywhere.
pub trait Batches: Sync {
    /// What [`Learner`] takes.
    type Batch: Send;

    /// Samples of a batch.
    fn size(&self) -> u32;

    /// Steps of an epoch, at least 1.
    fn per_epoch(&self) -> u64;

    /// The batch for the step after `step` others.
    ///
    /// # Errors
    ///
    /// [`RunError::Data`] if crops cannot be read.
    fn batch(&self, step: u64) -> Result<Self::Batch, RunError>;

    /// How many batches all validation samples make.
    fn validation_batches(&self) -> u64;

    /// One of them: never augmented, every validation sample in just one.
    ///
    /// # Errors
    ///
    /// [`RunError::Data`] if crops cannot be read.
    fn validation_batch(&self, index: u64) -> Result<Self::Batch, RunError>;

    /// Names the contents: equal crops have equal hashes.
    fn hash(&self) -> &str;
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Measurements cannot be kept.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Weights cannot be read or written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Crops cannot be had.
    #[error("crops cannot be read")]
    Data(#[source] Cause),
    /// The net or its device failed.
    #[error("training of {net} failed")]
    Learner {
        /// The net.
        net: String,
        /// Why.
        #[source]
        source: Cause,
    },
    /// A loss or gradient is NaN or infinite.
    #[error("the {what} of {net} is not finite in step {step}: the learning rate is too high, or crops or weights are broken; {kept}")]
    NotFinite {
        /// The net.
        net: String,
        /// In which step, from 1.
        step: u64,
        /// The loss of which task, or whose gradient.
        what: String,
        /// Which checkpoint is left.
        kept: Kept,
    },
    /// What the run learns from is not what it began with.
    #[error("{folder:?} began with {what} {began}, now it is {now}; go on with the old, or begin in another folder")]
    Changed {
        /// The run.
        folder: PathBuf,
        /// What has changed.
        what: &'static str,
        /// What it was.
        began: String,
        /// What it is.
        now: String,
    },
    /// Another process trains in the folder.
    #[error("another process is training in {folder:?}; wait for it or stop it, or use another folder")]
    Locked {
        /// The run.
        folder: PathBuf,
    },
    /// The folder of the run cannot be made or used.
    #[error("cannot use the folder {path:?} for a training run; check your rights and the free space")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The thread that makes batches is gone without a word.
    #[error("the thread that makes batches ended early; this is a mistake in the program")]
    Feed,
}

/// The checkpoint that a failed run leaves.
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

/// What happens in a run, for those who watch it.
#[derive(Debug)]
pub enum Event<'a> {
    /// It begins after `step` of `steps` steps.
    Begin {
        /// Steps done by earlier runs.
        step: u64,
        /// Steps of the whole run.
        steps: u64,
        /// Steps of an epoch.
        per_epoch: u64,
        /// Samples of a step.
        batch: u32,
    },
    /// A newer checkpoint could not be read; an older one is taken.
    Unreadable(&'a CheckpointError),
    /// Another step is done.
    Step,
    /// Measurements.
    Measured(&'a Record),
    /// A checkpoint was written.
    Saved(&'a Path),
    /// The last validation was the best so far.
    Best,
}

/// How a run ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All epochs are done.
    Finished,
    /// It was told to stop, has finished its step and saved.
    Stopped,
}

/// One run: what learns, from what, how, and where it is kept.
pub struct Run<'a, L, B> {
    /// `pnet`, `rnet` or `onet`.
    pub net: &'a str,
    /// The net.
    pub learner: L,
    /// Its crops.
    pub batches: &'a B,
    /// All settings.
    pub config: &'a TrainConfig,
    /// Where checkpoints, measurements and the final weights go.
    pub folder: &'a Folder,
    /// Weights of the other nets, to be kept in each checkpoint so that `detect` can use it.
    pub others: Option<&'a Weights>,
    /// Set to true by anyone, it ends the run after the step at hand.
    pub stop: &'a AtomicBool,
}

impl<L: Learner, B: Batches<Batch = L::Batch>> Run<'_, L, B> {
    /// Trains to the end, from the newest good checkpoint in the folder if there is one.
    ///
    /// # Errors
    ///
    /// [`RunError`]; the last good checkpoint is kept.
    pub fn run(self, mut watch: impl FnMut(&Event<'_>)) -> Result<End, RunError> {
        session::run(self, &mut watch)
    }
}

#[cfg(test)]
mod tests;
