//! Preparation of the crops of one net: cuts them out of all images into one file.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;
use serde::Serialize;

use super::CropsError;
use super::judge::{TeacherNet, logit};
use super::law::{Cut, Scene};
use super::pixels::cut;
use super::pool::{DataPart, Photo, photos};
use super::random::{Draw, place};
use super::search::{Earlier, Loaded, SearchResult, Searcher};
use super::shard::{CropRecord, ShardError, ShardWriter};
use super::window::SampleKind;
use crate::cascade::{Depth, Frame, Proposals};
use crate::data::{DataError, Faults};
use crate::files;
use crate::geometry::BoundingBox;
use crate::nets::{Net, ONET, PNET, RNET};
use crate::train::config::TrainConfig;
use crate::train::run::Cause;

/// Number of images that are processed together.
const TOGETHER: usize = 32;

/// Description of the crops to be cut.
pub struct CropJob<'a> {
    /// Net that the crops are for: `pnet`, `rnet` or `onet`.
    pub net: &'a str,
    /// All settings.
    pub config: &'a TrainConfig,
    /// Previous nets of the cascade. P-Net needs none; of a P-Net that is given, what it finds is cut beside
    /// the random crops, so that the next learns from its mistakes.
    pub earlier: Option<Earlier<'a>>,
    /// Cascade that labels images and crops, if any.
    pub teacher: Option<Earlier<'a>>,
    /// Function that reads an image.
    pub read: &'a (dyn Fn(&Path) -> Result<Frame, Cause> + Sync),
    /// Stops the work soon after it is set to true by any thread; no file is written then.
    pub stop: &'a AtomicBool,
}

/// Progress of the cutting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropProgress {
    /// Number of images done.
    pub images: usize,
    /// Total number of images.
    pub of: usize,
    /// Number of crops so far.
    pub crops: u64,
}

/// Report on the finished work.
#[derive(Debug, Serialize)]
pub struct CropReport {
    /// Number of images of the training, validation and test part.
    pub images: [u64; 3],
    /// Number of negatives, positives, parts and landmark faces in each of these parts.
    pub crops: [[u64; 4]; 3],
    /// Number of images that could not be read.
    pub unreadable: usize,
    /// Number of images in which the previous nets had more candidates than their capacity.
    pub truncated: usize,
    /// Faults in annotations and images.
    #[serde(skip)]
    pub faults: Faults,
}

/// Cuts the crops of `job` into the file `out`, atomically, and reports progress to `watch`. Returns `None`
/// if it was stopped.
///
/// Images that cannot be read and faces that lie outside their image are reported with file and line of the
/// annotation, counted and skipped; in strict mode the first of them is an error.
///
/// # Errors
///
/// [`CropsError`]; an existing file at `out` is then unchanged.
pub fn prepare(job: &CropJob<'_>, out: &Path, watch: &mut dyn FnMut(CropProgress)) -> Result<Option<CropReport>, CropsError> {
    let net = [PNET, RNET, ONET].into_iter().find(|net| net.name == job.net).ok_or_else(|| CropsError::NoNet { name: job.net.into() })?;
    let failed = |source| ShardError::Write { path: out.into(), source };
    let mut faults = if job.config.data.strict { Faults::strict() } else { Faults::lenient() };
    let photos = photos(&job.config.data, job.config.seed, &mut faults)?;
    let searcher = searcher(net, job)?;
    let soft = job.config.net(net.name).is_some_and(|net| net.soft_targets > 0.0);
    let judge = job.teacher.filter(|_| soft).map(|teacher| TeacherNet::new(teacher.engine, net, teacher.weights)).transpose();
    let judge = judge.map_err(|error| CropsError::NoTeacher { source: error.into() })?;
    let mut cutter = Cutter { job, net, searcher, judge, faults, report: CropReport::default() };
    files::remove_leftovers(out).map_err(failed)?;
    let mut end = None;
    let written = files::write_with(out, |file| {
        let result = cutter.write(&photos, file, watch);
        let finished = matches!(result, Ok(true));
        end = Some(result);
        if finished { Ok(()) } else { Err(io::Error::other("no file is wanted")) }
    });
    match end {
        Some(Ok(false)) => return Ok(None),
        Some(Err(Stop::Crops(error))) => return Err(error),
        Some(Err(Stop::Disk(source))) => return Err(failed(source).into()),
        Some(Ok(true)) | None => written.map_err(failed)?,
    }
    Ok(Some(CropReport { faults: cutter.faults, ..cutter.report }))
}

/// Creates the nets before `net`; `None` for P-Net without an earlier one.
fn searcher(net: Net, job: &CropJob<'_>) -> Result<Option<Searcher>, CropsError> {
    let depth = match net.name {
        "pnet" if job.earlier.is_none() => return Ok(None),
        "pnet" | "rnet" => Depth::Pnet,
        _ => Depth::Rnet,
    };
    let Some(earlier) = job.earlier else { return Err(CropsError::NoWeights { net: net.name.into() }) };
    let law = &job.config.data.crops;
    let searcher = Searcher::new(earlier, law, law.thresholds, depth);
    searcher.map(Some).map_err(|source| CropsError::Earlier { net: net.name.into(), source })
}

impl Default for CropReport {
    fn default() -> Self {
        Self { images: [0; 3], crops: [[0; 4]; 3], unreadable: 0, truncated: 0, faults: Faults::lenient() }
    }
}

/// Error that ended the writing.
enum Stop {
    Crops(CropsError),
    Disk(io::Error),
}

impl<E: Into<CropsError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Crops(error.into())
    }
}

/// Crops of one image.
struct Done {
    rgb: Vec<u8>,
    records: Vec<CropRecord>,
    truncated: bool,
}

struct Cutter<'a> {
    job: &'a CropJob<'a>,
    net: Net,
    searcher: Option<Searcher>,
    /// The teacher's net for crops of this size.
    judge: Option<TeacherNet>,
    faults: Faults,
    report: CropReport,
}

impl Cutter<'_> {
    /// Cuts all photos in groups; the next group is read while the nets search the current one. Returns false
    /// if it was stopped.
    fn write(&mut self, photos: &[Photo], file: &mut File, watch: &mut dyn FnMut(CropProgress)) -> Result<bool, Stop> {
        let mut writer = ShardWriter::new(file, self.net.side).map_err(Stop::Disk)?;
        let mut groups = photos.chunks(TOGETHER).zip((0..).step_by(TOGETHER));
        let mut next = groups.next().map(|(group, first)| (group, first, self.load(group)));
        let mut crops = 0;
        while let Some((group, first, frames)) = next.take() {
            if self.job.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let this = &*self;
            let (cuts, after) =
                rayon::join(|| this.cut(group, first, &frames), || groups.next().map(|(group, first)| (group, first, this.load(group))));
            next = after;
            for (photo, frame) in group.iter().zip(&frames) {
                self.note(photo, frame)?;
            }
            let done = group.iter().zip(cuts).filter_map(|(photo, cuts)| cuts.transpose().map(|done| done.map(|done| (photo, done))));
            let mut done = done.collect::<Result<Vec<_>, CropsError>>()?;
            self.judge(&mut done)?;
            for (photo, Done { rgb, records, truncated }) in done {
                writer.add(&rgb, &records).map_err(Stop::Disk)?;
                self.report.images[photo.part as usize] += 1;
                self.report.truncated += usize::from(truncated);
                records.iter().for_each(|record| self.report.crops[record.part as usize][record.sample as usize] += 1);
                crops += records.len() as u64;
            }
            watch(CropProgress { images: first + group.len(), of: photos.len(), crops });
        }
        self.check(photos)?;
        writer.finish(&self.notes()).map_err(Stop::Disk)?;
        Ok(true)
    }

    /// Evaluates the teacher on the crops of all images together, because few images do not fill a batch.
    fn judge(&mut self, done: &mut [(&Photo, Done)]) -> Result<(), CropsError> {
        let Some(judge) = &mut self.judge else { return Ok(()) };
        let rgb = done.iter().map(|(_, done)| &*done.rgb).collect::<Vec<_>>().concat();
        let first = done.first().map(|(photo, _)| photo.path.clone()).unwrap_or_default();
        let outputs = judge.outputs(&rgb).map_err(|error| CropsError::teacher(&first, error))?;
        let records = done.iter_mut().flat_map(|(_, done)| &mut done.records);
        records.zip(outputs).for_each(|(record, outputs)| record.teacher = Some(logit(&outputs)));
        Ok(())
    }

    fn load(&self, group: &[Photo]) -> Vec<Loaded> {
        group.par_iter().map(|photo| (self.job.read)(&photo.path)).collect()
    }

    /// Reports an image that cannot be read, and faces that lie outside it.
    fn note(&mut self, photo: &Photo, frame: &Loaded) -> Result<(), DataError> {
        let (list, line) = &photo.named_by;
        match frame {
            Err(error) => {
                self.report.unreadable += 1;
                let why = chain(&**error);
                self.faults.of(list).skipped(*line, format!("{:?} cannot be read: {why}: image skipped", photo.path))
            }
            Ok(frame) => {
                let (width, height) = (frame.width() as f32, frame.height() as f32);
                let outside = |b: &BoundingBox| b.x2 <= 0.0 || b.y2 <= 0.0 || b.x1 >= width || b.y1 >= height;
                for face in photo.faces.iter().filter(|face| outside(&face.bounding_box)) {
                    let b = face.bounding_box;
                    let what = format!(
                        "face ({}, {}) to ({}, {}) is outside {:?} of {width} x {height}: skipped",
                        b.x1, b.y1, b.x2, b.y2, photo.path
                    );
                    self.faults.of(list).skipped(*line, what)?;
                }
                Ok(())
            }
        }
    }

    /// Cuts the images of a group, whose first image has the number `first`; `None` for an image that cannot
    /// be read.
    fn cut(&self, group: &[Photo], first: usize, frames: &[Loaded]) -> Vec<Result<Option<Done>, CropsError>> {
        let found: Vec<Option<SearchResult>> = match &self.searcher {
            Some(searcher) => searcher.search(group, frames, |min_face_px| min_face_px).into_iter().map(Some).collect(),
            None => frames.iter().map(|_| None).collect(),
        };
        let images = group.par_iter().zip(frames).zip(found).enumerate();
        images
            .map(|(at, ((photo, frame), found))| {
                let Ok(frame) = frame else { return Ok(None) };
                let found = found.transpose().map_err(|source| CropsError::Detect { path: photo.path.clone(), source })?;
                Ok(Some(self.cut_one(photo, first + at, frame, found.as_ref())))
            })
            .collect()
    }

    fn cut_one(&self, photo: &Photo, number: usize, frame: &Frame, found: Option<&Proposals>) -> Done {
        let mut draw = Draw::new(&[u64::from(self.job.config.seed), u64::from(self.net.side), number as u64]);
        let mut law = self.job.config.data.crops.clone();
        if let Some(negatives) = photo.negatives {
            (law.negatives_per_image, law.detected_negatives_per_image) = (negatives, negatives);
        }
        law.min_face_px = photo.min_face_px.unwrap_or(law.min_face_px);
        let scene =
            Scene { size: [frame.width(), frame.height()], faces: &photo.faces, uses: photo.uses, law: &law, least: i64::from(PNET.side) };
        let mut cuts = if self.net == PNET { scene.random(&mut draw) } else { Vec::new() };
        cuts.extend(found.into_iter().flat_map(|found| scene.detected(found.boxes.iter().map(|(found, _)| found))));
        cuts.extend(scene.landmark_faces(&mut draw));
        if law.faces_per_image > 0 {
            cap(&mut cuts, law.faces_per_image, &mut draw);
        }
        let rgb = cut(frame, &cuts, self.net.side);
        let record =
            |cut: Cut| CropRecord { targets: cut.targets, image: number as u32, sample: cut.sample, teacher: None, part: photo.part };
        Done { rgb, records: cuts.into_iter().map(record).collect(), truncated: found.is_some_and(|found| found.truncated) }
    }

    /// Checks that there are crops to train on.
    fn check(&self, photos: &[Photo]) -> Result<(), CropsError> {
        if self.report.unreadable == photos.len() {
            let first = self.faults.list().iter().find(|fault| fault.skipped && fault.what.contains("cannot be read"));
            let first = first.map(ToString::to_string).unwrap_or_default();
            return Err(CropsError::NoneReadable { count: photos.len(), first });
        }
        let [training, ..] = self.report.crops;
        if training.iter().sum::<u64>() == 0 {
            return Err(CropsError::NoCrop { images: photos.iter().filter(|photo| photo.part == DataPart::Training).count() });
        }
        for (sample, _) in SampleKind::ALL.into_iter().zip(training).filter(|(_, count)| *count == 0) {
            tracing::warn!("no {} to learn from came of the images", sample.name());
        }
        Ok(())
    }

    fn notes(&self) -> String {
        let notes = serde_json::json!({
            "net": self.net.name,
            "program": concat!("mtcmcn ", env!("CARGO_PKG_VERSION")),
            "report": self.report,
            "seed": self.job.config.seed,
            "data": self.job.config.data,
            "teacher": self.job.config.teacher,
        });
        notes.to_string()
    }
}

/// Keeps at most `most` of the positives, parts and landmark faces among `cuts`, drawn at random, in order.
fn cap(cuts: &mut Vec<Cut>, most: u32, draw: &mut Draw) {
    for sample in [SampleKind::Positive, SampleKind::Part, SampleKind::Landmarks] {
        let (count, key) = (cuts.iter().filter(|cut| cut.sample == sample).count() as u64, draw.bits());
        let mut at = 0..;
        cuts.retain(|cut| cut.sample != sample || at.next().is_some_and(|at| place(at, count, key) < u64::from(most)));
    }
}

/// Formats an error with its causes.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
