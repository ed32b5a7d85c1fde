//! `mtcmcn detect`: images and videos in, faces out. Images are decoded ahead on other threads, videos by
//! ffmpeg, while this one detects, prints and draws.

mod args;
mod pictures;
mod place;
mod report;
mod search;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use mtcmcn::picture::decode::{Picture, PictureError, Reading};
use mtcmcn::video::{Playing, Tracker, VideoFrame, VideoReader, VideoSource};
use mtcmcn::{Detections, Detector, Frame};

pub use args::DetectArgs;

use super::input::{self, ImageFile, Input};
use super::prefetch;
use super::settings::DetectorArgs;
use super::{Outcome, explain, progress};
use args::FrameChoice;
use pictures::{CropShape, Directories, Pictures};
use place::FramePlace;
use report::{Found, OutputFormat, printable};
use search::Searches;

/// Looks for faces in everything that `args` names.
///
/// # Errors
///
/// If no detector can be made or something cannot be written. An input that cannot be read is no error here:
/// it is reported in its place, the others are searched all the same, and the outcome is [`Outcome::Failed`].
pub fn run(args: &DetectArgs, quiet: bool) -> Result<Outcome> {
    let directories = Directories::create(args.annotate.as_deref(), args.crops.as_deref())?;
    let inputs = input::expand(&args.paths, args.list.as_deref(), &directories.canonical());
    let videos = inputs.iter().flatten().any(|input| input.video().is_some());
    let crops = CropShape { side: args.crop_size, margin: args.crop_margin, aligned: !args.unaligned };
    let mut run = DetectRun {
        searches: Searches { rotate: args.rotate.clone(), find: Lazy { args: &args.detector, detector: None } },
        out: BufWriter::new(io::stdout().lock()),
        format: args.format(videos),
        clip: args.clip,
        every: args.every,
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
    /// Every how many-th frame of a video is searched.
    every: u32,
    reading: Reading,
    pictures: Pictures,
    progress: ProgressBar,
    quiet: bool,
    outcome: Outcome,
    header_due: bool,
}

impl<F: Find, W: Write> DetectRun<F, W> {
    fn all(&mut self, inputs: &[Input]) -> Result<Outcome> {
        if matches!(self.format, OutputFormat::Csv(_)) {
            self.print(b"")?; // the header, even if no row follows
        }
        let reading = self.reading;
        let read = |input: &Input| match input {
            Ok(image) => Opened::of(image, &reading),
            Err(_) => Opened::Nothing,
        };
        prefetch::in_order(inputs, prefetch::decoders(), read, |index, opened| {
            match (&inputs[index], opened) {
                (Ok(image), Opened::Picture(Ok(picture))) => self.search_all(index, &image.path, picture)?,
                (Ok(image), Opened::Picture(Err(error))) => self.refuse(&image.path, &explain(&error.into()))?,
                (Ok(image), Opened::Video(source)) => self.search_video(index, &image.path, &source)?,
                (Ok(_), Opened::Nothing) => {} // never: every image was read
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
            let place = if several { FramePlace::Page { number, count: picture.count } } else { FramePlace::Only };
            self.search(index, path, place, &frame, None)?;
        }
        Ok(())
    }

    /// Searches the frames of a video one after another, each printed before the next is read.
    fn search_video(&mut self, index: usize, path: &Path, source: &VideoSource) -> Result<()> {
        let playing = Playing { every: self.every, real_time: false, max_pixels: self.reading.max_pixels };
        let frames = match VideoReader::open(source, playing) {
            Ok(frames) => frames,
            Err(error) => return self.refuse(path, &explain(&error.into())),
        };
        let mut tracker = Tracker::new(1);
        for frame in frames {
            match frame {
                Ok(VideoFrame { frame, number, seconds }) => {
                    self.search(index, path, FramePlace::Moment { number, seconds }, &frame, Some(&mut tracker))?;
                }
                Err(error) => self.refuse(path, &explain(&error.into()))?,
            }
        }
        Ok(())
    }

    /// Searches one frame; `tracker` follows the faces of a video.
    fn search(&mut self, index: usize, path: &Path, place: FramePlace, frame: &Frame, tracker: Option<&mut Tracker>) -> Result<()> {
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
        let tracks = tracker
            .map_or_else(Vec::new, |tracker| tracker.update(&detections.faces, place.seconds()).iter().map(|tracked| tracked.id).collect());
        let written = self.pictures.write(index, place.number(), frame, &detections.faces)?;
        let [engine, adapter] = self.searches.find.engine().unwrap_or_default();
        let found = Found {
            path,
            width: frame.width(),
            height: frame.height(),
            faces: &detections.faces,
            truncated: detections.truncated,
            place,
            tracks: &tracks,
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
        let header = if std::mem::take(&mut self.header_due) { self.format.header()? } else { Vec::new() };
        let Self { out, progress, .. } = self;
        let all = || out.write_all(&header).and_then(|()| out.write_all(text)).and_then(|()| out.flush());
        progress.suspend(all).context("writing results to standard output")
    }
}

/// An input, ready to be searched.
enum Opened {
    /// An image, or why it is none.
    Picture(Result<Picture, PictureError>),
    /// A video, which is read while it is searched.
    Video(VideoSource),
    /// What could not even be looked at.
    Nothing,
}

impl Opened {
    fn of(image: &ImageFile, reading: &Reading) -> Self {
        image.video().map_or_else(|| Self::Picture(image.picture(reading)), Self::Video)
    }
}

#[cfg(test)]
mod tests;
