//! What a run measured: JSON lines for programs and TensorBoard's event files for people.
//!
//! `metrics.jsonl` has one object a line, see [`Record`]. Both files only ever grow by whole records in order of their step. A resumed
//! run cuts off what lies behind its checkpoint and goes on, so that no step is there twice.

mod events;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use events::Events;

/// Name of the file of JSON lines in the folder of a run.
pub const FILE: &str = "metrics.jsonl";

/// Which samples a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Those learned from since the record before; of mined tasks only the samples kept.
    Train,
    /// All validation samples.
    Validation,
}

/// One line of `metrics.jsonl`. Losses are means over samples and `null` where no sample had the task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Which samples.
    pub kind: Kind,
    /// Steps done so far.
    pub step: u64,
    /// Epochs done so far, with a fraction.
    pub epoch: f64,
    /// Sum of the losses by their weights.
    pub loss: Option<f64>,
    /// Means by name: `class`, cross entropy of face and non-face; `box`, squared error of the four offsets; `landmarks`, of the ten
    /// coordinates; `accuracy`, share of faces and non-faces told apart at a probability of 0.5.
    #[serde(flatten)]
    pub figures: BTreeMap<String, Option<f64>>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Samples a second since the record before.
    pub samples_per_second: f64,
    /// Seconds of training so far, over all resumed runs.
    pub seconds: f64,
}

impl Record {
    /// Mean of the figure `name`, or the whole `loss`; `None` where no sample had it.
    pub fn get(&self, name: &str) -> Option<f64> {
        if name == "loss" { self.loss } else { self.figures.get(name).copied().flatten() }
    }

    /// Names and values of the curves that the record is a point of.
    fn scalars(&self) -> impl Iterator<Item = (String, f64)> {
        let kind = match self.kind {
            Kind::Train => "train",
            Kind::Validation => "validation",
        };
        let always = [("learning_rate", self.learning_rate), ("samples_per_second", self.samples_per_second)].map(|(n, v)| (n, Some(v)));
        let figures = self.figures.iter().map(|(name, value)| (name.as_str(), *value));
        std::iter::once(("loss", self.loss))
            .chain(figures)
            .chain(always.into_iter().filter(move |_| kind == "train"))
            .filter_map(move |(name, value)| Some((format!("{kind}/{name}"), value?)))
    }
}

/// Why measurements cannot be kept or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The file system refused.
    #[error("cannot {verb} the measurements in {path:?}; check the folder, your rights and the free space")]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line that no run wrote.
    #[error("{path:?}: line {line} is no measurement: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
}

/// The files of one run, open to be written.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    lines: File,
    events: Option<Events>,
}

impl Metrics {
    /// Opens or makes the files in `folder` for a run that goes on after `step` steps: records behind that step are cut off.
    ///
    /// # Errors
    ///
    /// [`MetricsError::File`] if the file system refuses.
    pub fn open(folder: &Path, step: u64, tensorboard: bool) -> Result<Self, MetricsError> {
        let path = folder.join(FILE);
        let failed = |source| MetricsError::File { verb: "write", path: path.clone(), source };
        let mut lines = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        let end = end_of_lines(&lines, step).map_err(failed)?;
        cut(&mut lines, end).map_err(failed)?;
        let events = tensorboard.then(|| Events::open(folder, step)).transpose()?;
        Ok(Self { path, lines, events })
    }

    /// Appends `record`, at once.
    ///
    /// # Errors
    ///
    /// [`MetricsError::File`] if the file system refuses.
    pub fn write(&mut self, record: &Record) -> Result<(), MetricsError> {
        let mut line = serde_json::to_vec(record).expect("numbers and fixed names");
        line.push(b'\n');
        self.lines.write_all(&line).map_err(|source| MetricsError::File { verb: "write", path: self.path.clone(), source })?;
        self.events.as_mut().map_or(Ok(()), |events| events.write(record.step, record.scalars()))
    }

    /// Makes what was written last: before a checkpoint, so that a resumed run has all of it.
    ///
    /// # Errors
    ///
    /// [`MetricsError::File`] if the file system refuses.
    pub fn sync(&mut self) -> Result<(), MetricsError> {
        let synced = self.lines.sync_data().map_err(|source| MetricsError::File { verb: "write", path: self.path.clone(), source });
        synced.and_then(|()| self.events.as_mut().map_or(Ok(()), Events::sync))
    }
}

/// Records of the run in `folder`. A last line that is cut short, by a run that was killed or is being written, is left out.
///
/// # Errors
///
/// [`MetricsError::File`] if the file cannot be read, [`MetricsError::Line`] if a line is not what [`Metrics`] writes.
pub fn read(folder: &Path) -> Result<Vec<Record>, MetricsError> {
    let path = folder.join(FILE);
    let text = std::fs::read(&path).map_err(|source| MetricsError::File { verb: "read", path: path.clone(), source })?;
    let whole = text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"));
    whole
        .enumerate()
        .map(|(i, line)| {
            let failed = |error: serde_json::Error| MetricsError::Line { path: path.clone(), line: i + 1, message: error.to_string() };
            serde_json::from_slice(line).map_err(failed)
        })
        .collect()
}

/// Where the whole records up to `step` end; 0 in what is no file (a pipe, a device), which may have no end.
fn end_of_lines(file: &File, step: u64) -> io::Result<u64> {
    if !file.metadata()?.is_file() {
        return Ok(0);
    }
    let mut reader = BufReader::new(file);
    let (mut end, mut line) = (0, Vec::new());
    while reader.read_until(b'\n', &mut line)? > 0 {
        let record: Option<Record> = serde_json::from_slice(&line).ok();
        if !line.ends_with(b"\n") || record.is_none_or(|record| record.step > step) {
            break;
        }
        end += line.len() as u64;
        line.clear();
    }
    Ok(end)
}

/// Shortens `file` to `end` and goes on there. What can be no longer (a pipe, a device) is left as it is.
fn cut(file: &mut File, end: u64) -> io::Result<()> {
    if file.metadata()?.is_file() {
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
