//! What is wrong with a file of annotations or detections, and what becomes of it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// Most bytes of a file that are read: ten times the largest list of the field.
pub const MAX_FILE: u64 = 1 << 30;

/// Most faults that are kept with their text; the rest is counted.
const MAX_KEPT: usize = 10_000;

/// Why a file of annotations or detections could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The first fault of a file, where faults are not to be skipped.
    #[error("{0}; mend it, or do without --strict to go on without what is faulty")]
    Fault(Fault),
    /// A file of which no part can be used.
    #[error("{path:?} {what}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do about it.
        what: String,
    },
}

/// One thing wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub path: PathBuf,
    /// Line from 1, or 0 where the fault is the file's as a whole.
    pub line: usize,
    /// What is wrong and what becomes of it.
    pub what: String,
    /// Whether something was left out for it; otherwise it was only odd.
    pub skipped: bool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // A path or a line of a file must not command the terminal.
        let clean = |text: &str| text.replace(char::is_control, "\u{fffd}");
        write!(f, "{}:", clean(&self.path.to_string_lossy()))?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        write!(f, " {}", clean(&self.what))
    }
}

/// What is wrong in the files that were read, and whether that stops the reading.
#[derive(Debug, Default)]
pub struct Faults {
    strict: bool,
    kept: Vec<Fault>,
    skipped: usize,
    noted: usize,
}

impl Faults {
    /// Faults are collected; what is faulty is skipped.
    pub fn lenient() -> Self {
        Self::default()
    }

    /// The first fault is an error.
    pub fn strict() -> Self {
        Self { strict: true, ..Self::default() }
    }

    /// Faults of the file at `path`.
    pub fn of<'a>(&'a mut self, path: &'a Path) -> FileFaults<'a> {
        FileFaults { path, faults: self }
    }

    /// The faults in the order they were met: the first ten thousand.
    pub fn list(&self) -> &[Fault] {
        &self.kept
    }

    /// How often something was left out.
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// How often something was odd and used nevertheless.
    pub fn noted(&self) -> usize {
        self.noted
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.skipped + self.noted == 0
    }

    fn add(&mut self, fault: Fault) -> Result<(), DataError> {
        if self.strict {
            return Err(DataError::Fault(fault));
        }
        *(if fault.skipped { &mut self.skipped } else { &mut self.noted }) += 1;
        if self.kept.len() < MAX_KEPT {
            self.kept.push(fault);
        }
        Ok(())
    }
}

/// Where a reader reports the faults of the file it reads.
#[derive(Debug)]
pub struct FileFaults<'a> {
    path: &'a Path,
    faults: &'a mut Faults,
}

impl FileFaults<'_> {
    /// The file.
    pub fn path(&self) -> &Path {
        self.path
    }

    /// Reports what is left out. `line` counts from 1; 0 means the file as a whole.
    ///
    /// # Errors
    ///
    /// [`DataError::Fault`] if faults are strict.
    pub fn skipped(&mut self, line: usize, what: impl Into<String>) -> Result<(), DataError> {
        self.faults.add(Fault { path: self.path.into(), line, what: what.into(), skipped: true })
    }

    /// Reports what is odd but used.
    ///
    /// # Errors
    ///
    /// [`DataError::Fault`] if faults are strict.
    pub fn noted(&mut self, line: usize, what: impl Into<String>) -> Result<(), DataError> {
        self.faults.add(Fault { path: self.path.into(), line, what: what.into(), skipped: false })
    }

    /// The error that no part of the file can be used, whether faults are strict or not.
    pub fn unusable(&self, what: impl Into<String>) -> DataError {
        DataError::Unusable { path: self.path.into(), what: what.into() }
    }
}

/// All bytes of the file at `path`.
pub(crate) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    Ok(files::read(path, MAX_FILE)?)
}

/// Writes `text` to `path`, whole or not at all.
pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), DataError> {
    Ok(files::write_whole(path, text.as_bytes())?)
}
