//! Detections of annotated images: from a file, or found now and kept so that a later run goes on where this
//! one ended.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use indicatif::ProgressBar;
use mtcmcn::data::{AnnotatedImage, Detection, Faults, ImageDetections, json, match_images, wider};
use mtcmcn::{Detections, Detector, Face, Frame, Ticket};

use super::keep::{Keeper, Origin, kept_setting};
use super::setting::Setting;
use crate::cli::settings::DetectorArgs;
use crate::cli::{decode, explain, prefetch, progress};

/// What is scored.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Directory that the annotated paths are relative to; its images are searched now, unless there are
    /// --detections
    #[arg(long, value_name = "DIR", required_unless_present = "detections", help_heading = "Input")]
    pub images: Option<PathBuf>,

    /// Detections to score: JSON lines as `mtcmcn detect --json` prints them, or the protocol's own form
    #[arg(long, value_name = "PATH", help_heading = "Input")]
    pub detections: Option<PathBuf>,

    /// Keep what is found in each image in this file (JSON lines), and do not search images again that it
    /// has; it must be of the same setting. An image that lies elsewhere now, or has another size or time, is
    /// searched again. Evaluations that share the file wait for each other
    #[arg(long, value_name = "FILE", conflicts_with = "detections", help_heading = "Input")]
    pub keep: Option<PathBuf>,

    /// Begin the --keep file anew
    #[arg(long, requires = "keep", help_heading = "Input")]
    pub redo: bool,

    #[command(flatten)]
    pub detector: DetectorArgs,
}

/// An annotated image, and where its list says so.
#[derive(Debug, Clone)]
pub struct Listed {
    pub path: String,
    pub list: PathBuf,
    /// From 1; 0 of a list without lines.
    pub line: usize,
}

impl Listed {
    /// The images of the file `list`.
    pub fn of(images: &[AnnotatedImage], list: &Path) -> Vec<Self> {
        images.iter().map(|image| Self { path: image.path.clone(), list: list.to_owned(), line: image.line }).collect()
    }
}

impl AsRef<str> for Listed {
    fn as_ref(&self) -> &str {
        &self.path
    }
}

/// What was found, and with what.
pub struct Findings {
    /// By annotated image; `None` if nothing is known about it.
    pub images: Vec<Option<ImageDetections>>,
    /// The setting of our own detector.
    pub setting: Option<Setting>,
    /// The same in words, or where detections come from.
    pub origin: String,
}

impl SourceArgs {
    /// Detections of the images `listed`. `theirs` reads a file in the protocol's own form.
    ///
    /// # Errors
    ///
    /// If nothing can be detected or read at all.
    pub fn find(
        &self,
        listed: &[Listed],
        faults: &mut Faults,
        quiet: bool,
        theirs: impl FnOnce(&Path, &mut Faults) -> Result<Vec<ImageDetections>>,
    ) -> Result<Findings> {
        let Some(file) = &self.detections else { return self.detect(listed, faults, quiet) };
        let detected = if is_json(file)? { json::read_detections(file, faults)? } else { theirs(file, faults)? };
        let images = match_images(listed, &detected, &mut faults.of(file))?.into_iter().map(Option::<&_>::cloned).collect();
        Ok(Findings { images, setting: kept_setting(file), origin: format!("detections of {}", file.display()) })
    }

    /// Searches the images `listed`. Those that cannot be read are faults of their lists, and count as images
    /// without detections.
    fn detect(&self, listed: &[Listed], faults: &mut Faults, quiet: bool) -> Result<Findings> {
        let folder = self.images.as_deref().context("--images or --detections is needed")?;
        ensure!(folder.is_dir(), "--images {} is not a directory", folder.display());
        let weights = self.detector.load_weights()?;
        let detector = self.detector.open(&weights)?;
        let setting = Setting::new(detector.config(), &weights, &detector.engine().name().to_string());
        let places: Vec<PathBuf> = listed.iter().map(|image| locate(folder, &image.path)).collect();
        let origins: Vec<Origin> = places.iter().map(|place| Origin::of(folder, place)).collect::<Result<_>>()?;
        let wanted = listed.iter().map(AsRef::as_ref).zip(&origins).collect();
        let mut keeper = Keeper::open(self.keep.as_deref(), self.redo, &setting, &wanted)?;
        let mut images: Vec<Option<ImageDetections>> = listed.iter().map(|image| keeper.known.remove(&image.path)).collect();
        let open: Vec<(usize, PathBuf)> = (0..).zip(places).filter(|(index, _)| images[*index].is_none()).collect();
        let mut run =
            SearchRun { detector, keeper, under_way: VecDeque::new(), images: &mut images, listed, origins: &origins, refused: Vec::new() };
        let bar = progress(open.len(), quiet);
        run.all(&open, self.detector.max_pixels(), &bar)?;
        let refused = run.refused;
        for (index, why) in refused {
            let what = format!("{:?} cannot be searched ({why}): counted as an image without detections", listed[index].path);
            faults.of(&listed[index].list).skipped(listed[index].line, what)?;
        }
        let origin = setting.to_string();
        Ok(Findings { images, setting: Some(setting), origin })
    }
}

/// Where an annotated image lies: as written, or with the extension of an image file, which some protocols
/// leave out.
pub fn locate(folder: &Path, path: &str) -> PathBuf {
    let plain = folder.join(path);
    if plain.is_file() {
        return plain;
    }
    let with = |extension: &&str| folder.join(format!("{path}.{extension}"));
    ["jpg", "jpeg", "png", "JPG", "bmp", "gif", "webp", "tif"].iter().map(with).find(|path| path.is_file()).unwrap_or(plain)
}

/// Whether `file` holds JSON lines: the first thing in it is a brace, or it is empty and says as much in any
/// form.
///
/// # Errors
///
/// If it cannot be read.
pub fn is_json(file: &Path) -> Result<bool> {
    let start = start(file)?;
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&start);
    Ok(!file.is_dir() && text.trim_ascii_start().first().is_none_or(|first| *first == b'{'))
}

/// Whether `file` begins with `magic`, of at most 64 bytes.
///
/// # Errors
///
/// If it cannot be read.
pub fn begins_with(file: &Path, magic: &[u8]) -> Result<bool> {
    Ok(start(file)?.starts_with(magic))
}

/// The first bytes of `file`, at most 64; none of a directory.
fn start(file: &Path) -> Result<Vec<u8>> {
    let mut start = Vec::new();
    if !file.is_dir() {
        let read = File::open(file).and_then(|file| io::Read::read_to_end(&mut io::Read::take(file, 64), &mut start));
        read.with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(start)
}

/// Predictions in WIDER FACE's tree, `<event>/<image>.txt`.
///
/// # Errors
///
/// If `path` is no directory, or something in it cannot be read.
pub fn predictions(path: &Path, faults: &mut Faults) -> Result<Vec<ImageDetections>> {
    ensure!(path.is_dir(), "{} is neither JSON lines nor a directory of predictions, <event>/<image>.txt", path.display());
    Ok(wider::read_predictions(path, faults)?)
}

/// One search over the images that are not known yet, several of them under way on the device.
struct SearchRun<'a> {
    detector: Detector,
    keeper: Keeper,
    under_way: VecDeque<(usize, [u32; 2], Ticket)>,
    images: &'a mut [Option<ImageDetections>],
    listed: &'a [Listed],
    origins: &'a [Origin],
    refused: Vec<(usize, String)>,
}

impl SearchRun<'_> {
    fn all(&mut self, open: &[(usize, PathBuf)], max_pixels: u64, bar: &ProgressBar) -> Result<()> {
        prefetch::in_order(
            open,
            prefetch::decoders(),
            |(_, path)| decode::read(path, max_pixels),
            |at, frame| {
                let index = open[at].0;
                match frame {
                    Ok(frame) => self.submit(index, &frame)?,
                    Err(error) => self.refused.push((index, explain(&error.into()))),
                }
                bar.inc(1);
                Ok(())
            },
        )?;
        while !self.under_way.is_empty() {
            self.collect()?;
        }
        bar.finish_and_clear();
        Ok(())
    }

    fn submit(&mut self, index: usize, frame: &Frame) -> Result<()> {
        if self.under_way.len() >= Detector::IN_FLIGHT {
            self.collect()?;
        }
        let ticket = self.detector.submit(frame).with_context(|| self.listed[index].path.clone())?;
        self.under_way.push_back((index, [frame.width(), frame.height()], ticket));
        Ok(())
    }

    fn collect(&mut self) -> Result<()> {
        let Some((index, size, ticket)) = self.under_way.pop_front() else { return Ok(()) };
        let path = &self.listed[index].path;
        let Detections { faces, truncated, .. } = self.detector.collect(ticket).with_context(|| path.clone())?;
        if truncated {
            tracing::warn!("{path}: more candidates than there is room for; faces may be missing");
        }
        let face = |face: &Face| Detection { bounding_box: face.bounding_box, score: face.score.into(), landmarks: Some(face.landmarks) };
        let found = ImageDetections { path: path.clone(), size: Some(size), faces: faces.iter().map(face).collect(), truncated, line: 0 };
        self.keeper.keep(&found, &self.origins[index])?;
        self.images[index] = Some(found);
        Ok(())
    }
}
