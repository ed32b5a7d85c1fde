//! `mtcmcn detect`: images in, faces out. Images are decoded ahead on other threads while this one detects, prints and draws.

mod args;
mod pictures;
mod report;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use mtcmcn::{Detections, Frame};

pub use args::DetectArgs;

use super::input::{self, Input};
use super::prefetch;
use super::{Outcome, decode, explain, progress};
use pictures::{Directories, Pictures};
use report::{Found, OutputFormat, printable};

/// Decoding threads at most. Each may hold a decoded image, and four keep up with a fast GPU.
const MAX_DECODERS: usize = 4;

/// Looks for faces in everything that `args` names.
///
/// # Errors
///
/// If no detector can be made or something cannot be written. An input that cannot be read is no error here: it is reported in its
/// place, the others are searched all the same, and the outcome is [`Outcome::Failed`].
pub fn run(args: &DetectArgs, quiet: bool) -> Result<Outcome> {
    let directories = Directories::create(args.annotate.as_deref(), args.crops.as_deref())?;
    let inputs = input::expand(&args.paths, args.list.as_deref(), &directories.canonical());
    let mut detector = None;
    let mut run = DetectRun {
        // Made for the first frame: a run without any needs neither weights nor a device.
        detect: |frame: &Frame| {
            let detector = match &mut detector {
                Some(detector) => detector,
                none => none.insert(args.detector.open(&args.detector.load_weights()?)?),
            };
            Ok(detector.detect(frame).map_err(Into::into))
        },
        out: BufWriter::new(io::stdout().lock()),
        format: args.format(),
        clip: args.clip,
        pictures: Pictures::new(directories, &inputs),
        progress: progress(inputs.len(), quiet),
        outcome: Outcome::Nothing,
        header_due: true,
    };
    run.all(&inputs, args.detector.max_pixels())
}

/// One run over all inputs. `detect` gives an outer error for what stops the run, an inner one for what spoils one frame.
struct DetectRun<D, W> {
    detect: D,
    out: W,
    format: OutputFormat,
    clip: bool,
    pictures: Pictures,
    progress: ProgressBar,
    outcome: Outcome,
    header_due: bool,
}

impl<D: FnMut(&Frame) -> Result<Result<Detections>>, W: Write> DetectRun<D, W> {
    fn all(&mut self, inputs: &[Input], max_pixels: u64) -> Result<Outcome> {
        if self.format == OutputFormat::Csv {
            self.print("")?; // the header, even if no row follows
        }
        let decoders = thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, MAX_DECODERS);
        let read = |input: &Input| input.as_ref().ok().map(|image| decode::read(&image.path, max_pixels));
        prefetch::in_order(inputs, decoders, read, |index, frame| {
            match (&inputs[index], frame) {
                (Ok(image), Some(Ok(frame))) => self.search(index, &image.path, &frame)?,
                (Ok(image), Some(Err(error))) => self.refuse(&image.path, &explain(&error.into()))?,
                (Ok(_), None) => {} // never: every image was read
                (Err(unreadable), _) => self.refuse(&unreadable.path, &unreadable.error)?,
            }
            self.progress.inc(1);
            Ok(())
        })?;
        self.progress.finish_and_clear();
        Ok(self.outcome)
    }

    fn search(&mut self, index: usize, path: &Path, frame: &Frame) -> Result<()> {
        let mut detections = match (self.detect)(frame)? {
            Ok(detections) => detections,
            Err(error) => return self.refuse(path, &explain(&error)),
        };
        if self.clip {
            detections.faces.iter_mut().for_each(|face| face.bounding_box = face.bounding_box.clipped(frame.width(), frame.height()));
        }
        if detections.truncated {
            tracing::warn!(
                "{}: more candidates than there is room for; faces may be missing (raise --thresholds or --min-face)",
                printable(path)
            );
        }
        let found = Found { path, width: frame.width(), height: frame.height(), faces: &detections.faces, truncated: detections.truncated };
        let text = self.format.found(&found)?;
        self.print(&text)?;
        if self.outcome == Outcome::Nothing && !detections.faces.is_empty() {
            self.outcome = Outcome::Found;
        }
        self.pictures.write(index, frame, &detections.faces)
    }

    /// Reports an input that gave nothing to search.
    fn refuse(&mut self, path: &Path, error: &str) -> Result<()> {
        self.outcome = Outcome::Failed;
        self.progress.suspend(|| {
            let _ = writeln!(io::stderr(), "mtcmcn: {}: {error}", printable(path));
        });
        match self.format.refused(path, error)? {
            text if text.is_empty() => Ok(()),
            text => self.print(&text),
        }
    }

    /// Prints a result, at once: who reads along sees each image when it is done.
    fn print(&mut self, text: &str) -> Result<()> {
        let header = if std::mem::take(&mut self.header_due) { self.format.header()? } else { String::new() };
        let Self { out, progress, .. } = self;
        progress.suspend(|| write!(out, "{header}{text}").and_then(|()| out.flush())).context("writing results to standard output")
    }
}

#[cfg(test)]
mod tests;
