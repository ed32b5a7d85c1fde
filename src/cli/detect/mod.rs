//! `mtcmcn detect`: images in, faces out. Images are decoded ahead on other threads while this one detects,
//! prints and draws.

mod args;
mod pictures;
mod report;
mod search;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::thread;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use mtcmcn::picture::decode::{Picture, PictureError, Reading};
use mtcmcn::{Detections, Detector, Frame};

pub use args::DetectArgs;

use super::input::{self, ImageFile, Input};
use super::prefetch;
use super::settings::DetectorArgs;
use super::{Outcome, decode, explain, progress};
use args::FrameChoice;
use pictures::{CropShape, Directories, Pictures};
use report::{Found, OutputFormat, printable};
use search::Searches;

/// Decoding threads at most. Each may hold a decoded image, and four keep up with a fast GPU.
const MAX_DECODERS: usize = 4;

/// Looks for faces in everything that `args` names.
///
/// # Errors
///
/// If no detector can be made or something cannot be written. An input that cannot be read is no error here:
/// it is reported in its place, the others are searched all the same, and the outcome is [`Outcome::Failed`].
pub fn run(args: &DetectArgs, quiet: bool) -> Result<Outcome> {
    let directories = Directories::create(args.annotate.as_deref(), args.crops.as_deref())?;
    let inputs = input::expand(&args.paths, args.list.as_deref(), &directories.canonical());
    let crops = CropShape { side: args.crop_size, margin: args.crop_margin, aligned: !args.unaligned };
    let mut run = DetectRun {
        searches: Searches { rotate: args.rotate.clone(), find: Lazy { args: &args.detector, detector: None } },
        out: BufWriter::new(io::stdout().lock()),
        format: args.format(),
        clip: args.clip,
        reading: Reading { max_pixels: args.detector.max_pixels(), lenient: args.lenient, all: args.frames == FrameChoice::All },
        pictures: Pictures::new(directories, &inputs, crops),
        progress: progress(inputs.len(), quiet),
        quiet,
        outcome: Outcome::Nothing,
        header_due: true,
    };
    run.all(&inputs)
}

/// What looks for faces in a frame: an outer error stops the run, an inner one spoils this frame.
trait Find {
    fn find(&mut self, frame: &Frame) -> Result<Result<Detections>>;

    /// What it runs on: engine, and adapter if it is a GPU. Known once it was used.
    fn engine(&self) -> Option<[Option<String>; 2]>;
}

/// A detector, made for the first frame: a run without any needs neither weights nor a device.
struct Lazy<'a> {
    args: &'a DetectorArgs,
    detector: Option<Detector>,
}

impl Find for Lazy<'_> {
    fn find(&mut self, frame: &Frame) -> Result<Result<Detections>> {
        let detector = match &mut self.detector {
            Some(detector) => detector,
            none => none.insert(self.args.open(&self.args.load_weights()?)?),
        };
        Ok(detector.detect(frame).map_err(Into::into))
    }

    fn engine(&self) -> Option<[Option<String>; 2]> {
        let engine = self.detector.as_ref()?.engine();
        Some(match engine.gpu() {
            Some(_) => [Some("GPU".to_owned()), Some(engine.name())],
            None => [Some(engine.name()), None],
        })
    }
}

/// One run over all inputs.
struct DetectRun<F, W> {
    searches: Searches<F>,
    out: W,
    format: OutputFormat,
    clip: bool,
    reading: Reading,
    pictures: Pictures,
    progress: ProgressBar,
    quiet: bool,
    outcome: Outcome,
    header_due: bool,
}

impl<F: Find, W: Write> DetectRun<F, W> {
    fn all(&mut self, inputs: &[Input]) -> Result<Outcome> {
        if self.format == OutputFormat::Csv {
            self.print(b"")?; // the header, even if no row follows
        }
        let decoders = thread::available_parallelism().map_or(1, |cores| cores.get() / 2).clamp(1, MAX_DECODERS);
        let reading = self.reading;
        let read = |input: &Input| input.as_ref().ok().map(|image| read(image, &reading));
        prefetch::in_order(inputs, decoders, read, |index, picture| {
            match (&inputs[index], picture) {
                (Ok(image), Some(Ok(picture))) => self.search_all(index, &image.path, picture)?,
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

    fn search_all(&mut self, index: usize, path: &Path, picture: Picture) -> Result<()> {
        if !self.quiet {
            picture.warnings.iter().for_each(|warning| self.say(path, warning));
        }
        let several = self.reading.all && picture.count > 1;
        for (number, frame) in (1..).zip(picture.frames) {
            self.search(index, path, several.then_some([number, picture.count]), &frame)?;
        }
        Ok(())
    }

    /// Searches one frame; `of` tells which of how many of its file, if there are several.
    fn search(&mut self, index: usize, path: &Path, of: Option<[usize; 2]>, frame: &Frame) -> Result<()> {
        let mut detections = match self.searches.find(frame)? {
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
        let written = self.pictures.write(index, of.map(|[number, _]| number), frame, &detections.faces)?;
        let [engine, adapter] = self.searches.find.engine().unwrap_or_default();
        let found = Found {
            path,
            width: frame.width(),
            height: frame.height(),
            faces: &detections.faces,
            truncated: detections.truncated,
            of,
            written: &written,
            engine: engine.as_deref(),
            adapter: adapter.as_deref(),
        };
        let text = self.format.found(&found)?;
        self.print(&text)?;
        if self.outcome == Outcome::Nothing && !detections.faces.is_empty() {
            self.outcome = Outcome::Found;
        }
        Ok(())
    }

    /// Says something about an input on stderr.
    fn say(&self, path: &Path, text: &str) {
        self.progress.suspend(|| {
            let _ = writeln!(io::stderr(), "mtcmcn: {}: {text}", printable(path));
        });
    }

    /// Reports an input that gave nothing to search.
    fn refuse(&mut self, path: &Path, error: &str) -> Result<()> {
        self.outcome = Outcome::Failed;
        self.say(path, error);
        match self.format.refused(path, error)? {
            text if text.is_empty() => Ok(()),
            text => self.print(&text),
        }
    }

    /// Prints a result, at once: who reads along sees each image when it is done.
    fn print(&mut self, text: &[u8]) -> Result<()> {
        let header = if std::mem::take(&mut self.header_due) { self.format.header(self.reading.all)? } else { Vec::new() };
        let Self { out, progress, .. } = self;
        let all = || out.write_all(&header).and_then(|()| out.write_all(text)).and_then(|()| out.flush());
        progress.suspend(all).context("writing results to standard output")
    }
}

fn read(image: &ImageFile, reading: &Reading) -> Result<Picture, PictureError> {
    match &image.bytes {
        Some(bytes) => decode::picture(bytes, reading),
        None => decode::read_picture(&image.path, reading),
    }
}

#[cfg(test)]
mod tests;
