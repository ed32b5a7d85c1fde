//! The folder of a run, held by one process at a time.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use super::RunError;

/// A folder that nobody else trains in while this exists.
///
/// It holds `checkpoints/`, `metrics.jsonl`, TensorBoard's event file and, at the end, `weights.safetensors`.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Unlocked by the system when the process ends, however it ends.
    _lock: File,
}

impl Folder {
    /// Makes the folder at `path` if it is not there, and holds it.
    ///
    /// # Errors
    ///
    /// [`RunError::Locked`] if another process holds it, [`RunError::Folder`] if the file system refuses.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let failed = |source| RunError::Folder { path: path.into(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(path.join(".lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(RunError::Locked { folder: path.into() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Where the weights are once the run is finished: those of the best validation, or the last if there was
    /// none.
    pub fn weights(&self) -> PathBuf {
        self.path.join("weights.safetensors")
    }
}
