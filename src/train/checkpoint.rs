//! Checkpoints: one safetensors file with everything that a run needs to continue as if it had never stopped.
//!
//! Its tensors are the weights, under the names of the weights store, so that it is a weights file too, and
//! the optimizer's state as `optimizer.<moment>.<weight>`. The rest is metadata; a checksum covers
//! everything. All randomness in training is a function of seed and step, so that no state of a random number
//! generator is stored.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::files::{hex, write_whole};
use crate::tensor::Tensor;
use crate::weights::{Weights, WeightsError};

/// Prefix of the names of the optimizer's tensors.
pub const OPTIMIZER: &str = "optimizer.";

/// Version of the checkpoint format that this program writes and reads.
const FORMAT: &str = "1";

/// Progress of a run.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Number of steps done.
    pub step: u64,
    /// Number of epochs whose validation is done.
    pub validated: u64,
    /// Lowest validation loss so far.
    pub best_loss: Option<f64>,
    /// Step at which the lowest validation loss was measured.
    pub best_step: Option<u64>,
    /// Training time so far, s.
    pub seconds: f64,
}

/// State of a run at one step.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Name of the net that learns: `pnet`, `rnet` or `onet`.
    pub net: String,
    /// Weights of the net, the optimizer's state, and the weights of the other nets of the cascade.
    pub tensors: BTreeMap<String, Tensor>,
    /// Progress of the run.
    pub progress: Progress,
    /// Seed of all random numbers, which also depend on the step.
    pub seed: u32,
    /// All settings, as TOML.
    pub config: String,
    /// Hash of the crops used for training.
    pub data_hash: String,
}

/// Error for a checkpoint that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read or written, or is not a safetensors file.
    #[error(transparent)]
    File(#[from] WeightsError),
    /// The file holds weights but is not a checkpoint.
    #[error("{path:?} has no {key:?} in its metadata: it holds weights, but is no checkpoint of a training run")]
    Plain {
        /// Path of the file.
        path: PathBuf,
        /// Metadata entry that is missing.
        key: &'static str,
    },
    /// The file was written by another version of this program.
    #[error("{path:?} is a checkpoint of form {found:?}, this program reads form {FORMAT:?}; go on with the program that wrote it")]
    Version {
        /// Path of the file.
        path: PathBuf,
        /// Format version of the file.
        found: String,
    },
    /// The contents differ from what was written.
    #[error("{path:?} is damaged: its contents have SHA-256 {found}, {want} was noted when it was written")]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Checksum of the contents.
        found: String,
        /// Checksum stored in the file.
        want: String,
    },
    /// A metadata entry is invalid.
    #[error("{path:?} has {key} {value:?} in its metadata, which is not what this program writes")]
    Metadata {
        /// Path of the file.
        path: PathBuf,
        /// Name of the entry.
        key: &'static str,
        /// Value of the entry.
        value: String,
    },
    /// The folder cannot be used.
    #[error("cannot use the folder {path:?} for checkpoints; check your rights and the free space")]
    Folder {
        /// Path of the folder.
        path: PathBuf,
        /// Error of the operating system.
        #[source]
        source: io::Error,
    },
    /// There are checkpoints, but none can be read.
    #[error("none of the {count} checkpoints in {folder:?} can be read; the newest: {newest}")]
    NoneReadable {
        /// Path of the folder.
        folder: PathBuf,
        /// Number of checkpoints.
        count: usize,
        /// Error of the newest checkpoint.
        newest: Box<CheckpointError>,
    },
}

impl Checkpoint {
    /// Returns the contents of the file.
    fn to_bytes(&self) -> Result<Vec<u8>, WeightsError> {
        let progress = serde_json::to_string(&self.progress).expect("plain numbers");
        let entries = [
            ("checkpoint", FORMAT.to_owned()),
            ("net", self.net.clone()),
            ("progress", progress),
            ("seed", self.seed.to_string()),
            ("config", self.config.clone()),
            ("data_hash", self.data_hash.clone()),
        ];
        let metadata = entries.map(|(key, value)| (key.to_owned(), value)).into();
        let weights = Weights::new(self.tensors.clone(), metadata)?;
        let sum = sha256(&weights.to_bytes());
        Ok(weights.with_metadata("sha256", &sum).to_bytes())
    }

    /// Writes the checkpoint to `path` atomically.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::File`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), CheckpointError> {
        Ok(write_whole(path, &self.to_bytes()?).map_err(WeightsError::from)?)
    }

    /// Reads the checkpoint at `path` and verifies its checksum.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`], which describes the fault.
    pub fn load(path: &Path) -> Result<Self, CheckpointError> {
        let weights = Weights::load(path)?;
        let metadata = weights.metadata();
        let get = |key| metadata.get(key).ok_or_else(|| CheckpointError::Plain { path: path.into(), key });
        let form = get("checkpoint")?;
        if form != FORMAT {
            return Err(CheckpointError::Version { path: path.into(), found: form.clone() });
        }
        let want = get("sha256")?;
        let mut rest = metadata.clone();
        rest.remove("sha256");
        let found = sha256(&Weights::new(weights.tensors().clone(), rest)?.to_bytes());
        if found != *want {
            return Err(CheckpointError::Damaged { path: path.into(), found, want: want.clone() });
        }
        let odd = |key, value: &str| CheckpointError::Metadata { path: path.into(), key, value: value.to_owned() };
        let (progress, seed) = (get("progress")?, get("seed")?);
        Ok(Self {
            net: get("net")?.clone(),
            progress: serde_json::from_str(progress).map_err(|_| odd("progress", progress))?,
            seed: seed.parse().map_err(|_| odd("seed", seed))?,
            config: get("config")?.clone(),
            data_hash: get("data_hash")?.clone(),
            tensors: weights.tensors().clone(),
        })
    }

    /// Returns the weights without the optimizer's state.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Length`], which does not occur for tensors of a net.
    pub fn weights(&self) -> Result<Weights, WeightsError> {
        let tensors = self.tensors.iter().filter(|(name, _)| !name.starts_with(OPTIMIZER));
        let metadata =
            [("trained_steps", self.progress.step.to_string()), ("config", self.config.clone()), ("data_hash", self.data_hash.clone())];
        let metadata = metadata.map(|(key, value)| (format!("{}.{key}", self.net), value));
        Weights::new(tensors.map(|(name, tensor)| (name.clone(), tensor.clone())).collect(), metadata.into())
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Checkpoints in the folder of a run: the last few, and the best.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// The newest readable checkpoint.
#[derive(Debug)]
pub struct Newest {
    /// Path of the file.
    pub path: PathBuf,
    /// Contents of the checkpoint.
    pub checkpoint: Checkpoint,
    /// Errors of newer checkpoints that cannot be read, newest first.
    pub unreadable: Vec<CheckpointError>,
}

impl Checkpoints {
    /// Opens the checkpoints in `folder`, which is created if missing. The last `keep` checkpoints are kept.
    /// Partial files of a killed run are removed.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::Folder`] if the folder cannot be created or read.
    pub fn open(folder: &Path, keep: usize) -> Result<Self, CheckpointError> {
        let failed = |source| CheckpointError::Folder { path: folder.into(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        for entry in fs::read_dir(folder).map_err(failed)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') && name.ends_with(".tmp") {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { folder: folder.into(), keep: keep.max(1) })
    }

    /// Returns the path of the best checkpoint, which may not exist yet.
    pub fn best(&self) -> PathBuf {
        self.folder.join("best.safetensors")
    }

    /// Returns the files with their steps, newest first.
    fn files(&self) -> Result<Vec<(u64, PathBuf)>, CheckpointError> {
        let failed = |source| CheckpointError::Folder { path: self.folder.clone(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let step = name.strip_prefix("step-").and_then(|name| name.strip_suffix(".safetensors")).and_then(|step| step.parse().ok());
            files.extend(step.map(|step| (step, path)));
        }
        files.sort_by_key(|file| std::cmp::Reverse(file.0));
        Ok(files)
    }

    /// Returns the path of the newest file, readable or not.
    pub fn newest_path(&self) -> Option<PathBuf> {
        self.files().ok()?.into_iter().next().map(|(_, path)| path)
    }

    /// Writes `checkpoint` to a file named after its step, then removes all but the last few.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::File`] if it cannot be written; earlier checkpoints are then untouched.
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<PathBuf, CheckpointError> {
        let path = self.folder.join(format!("step-{:09}.safetensors", checkpoint.progress.step));
        checkpoint.save(&path)?;
        for (_, old) in self.files()?.into_iter().skip(self.keep) {
            if let Err(error) = fs::remove_file(&old) {
                tracing::warn!("cannot remove the old checkpoint {old:?}: {error}");
            }
        }
        Ok(path)
    }

    /// Returns the newest readable checkpoint, with the errors of newer ones; `None` if there is no
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::NoneReadable`] if no checkpoint is readable; [`CheckpointError::Folder`] if the
    /// folder cannot be read.
    pub fn newest(&self) -> Result<Option<Newest>, CheckpointError> {
        let files = self.files()?;
        let mut unreadable = Vec::new();
        for (_, path) in &files {
            match Checkpoint::load(path) {
                Ok(checkpoint) => return Ok(Some(Newest { path: path.clone(), checkpoint, unreadable })),
                Err(error) => unreadable.push(error),
            }
        }
        if unreadable.is_empty() {
            return Ok(None);
        }
        let newest = Box::new(unreadable.swap_remove(0));
        Err(CheckpointError::NoneReadable { folder: self.folder.clone(), count: files.len(), newest })
    }
}

#[cfg(test)]
mod tests;
