//! Labels by a teacher: a cascade that is trained already corrects and completes annotations before crops are cut.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use glam::Vec2;
use rayon::prelude::*;

use super::judge::{TeacherNet, logit};
use super::law::Cut;
use super::merge::{Seen, merge, suppress};
use super::prepare::{CropJob, CropProgress};
use super::search::{Earlier, Loaded, SearchResult, Searcher};
use super::window::{CropWindow, SampleKind, Targets};
use super::{CropsError, Photo, photos, pixels};
use crate::cascade::{Depth, Frame};
use crate::data::{AnnotatedImage, DataError, Faults, json};
use crate::files;
use crate::geometry::{BoundingBox, Landmarks};
use crate::nets::ONET;
use crate::train::config::{Lesson, Source, SourceFormat, TeacherConfig, TrainConfig};

/// Images that are worked on together.
const TOGETHER: usize = 32;
/// As the cascade's last suppression.
const COVERED: f32 = 0.7;

/// Has the teacher of `job` look at all its images, and writes what is then known of each source's into `<number>.jsonl` in `folder`, whole or
/// not at all; sources whose file is there already are left alone. `watch` is told how it goes. `None` if told to stop.
///
/// Returns the settings of `job` with these files as sources. As every face in their images is accounted for now, negatives may be learned from
/// all of them but from those of [`SourceFormat::Folder`], unless a source says what may be learned.
///
/// # Errors
///
/// [`CropsError`]; sources done before are kept.
pub fn label(
    job: &CropJob<'_>,
    folder: &Path,
    faults: &mut Faults,
    watch: &mut dyn FnMut(CropProgress),
) -> Result<Option<TrainConfig>, CropsError> {
    let Some(teacher) = job.teacher else { return Ok(Some(job.config.clone())) };
    let photos = photos(&job.config.data, job.config.seed, faults)?;
    let mut observer = Observer::new(teacher, job.config)?;
    let mut config = job.config.clone();
    let mut done = 0;
    for (number, source) in config.data.sources.iter_mut().enumerate() {
        let path = folder.join(format!("{number}.jsonl"));
        let own: Vec<&Photo> = photos.iter().filter(|photo| photo.source == number).collect();
        let images = source.images_folder();
        if !path.exists() {
            let mut lines = String::new();
            for group in own.chunks(TOGETHER) {
                if job.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let frames: Vec<Loaded> = group.par_iter().map(|photo| (job.read)(&photo.path)).collect();
                let seen = observer.look(&frames).map_err(|(at, source)| CropsError::teacher(&group[at].path, source))?;
                for (photo, (frame, seen)) in group.iter().zip(frames.iter().zip(seen)) {
                    // Images that cannot be read keep their labels: who cuts crops of them names them.
                    let faces =
                        if frame.is_ok() { merge(&photo.faces, &seen, source.complete, &job.config.teacher) } else { photo.faces.clone() };
                    let path = photo.path.strip_prefix(&images).unwrap_or(&photo.path).to_string_lossy().into_owned();
                    lines += &json::annotation_line(&AnnotatedImage { path, faces, line: 0 });
                }
                done += group.len();
                watch(CropProgress { images: done, of: photos.len(), crops: 0 });
            }
            files::write_whole(&path, lines.as_bytes()).map_err(DataError::from)?;
        }
        *source = labelled(source, path, images);
    }
    config.teacher.labels = false;
    Ok(Some(config))
}

/// `source` with its labels by a teacher in the file at `path`.
fn labelled(source: &Source, path: PathBuf, images: PathBuf) -> Source {
    let all = [Lesson::Negatives, Lesson::Faces, Lesson::Landmarks];
    let learn = if source.format == SourceFormat::Folder { &all[1..] } else { &all[..] };
    Source {
        format: SourceFormat::Json,
        annotations: path,
        images: Some(images),
        landmarks: None,
        learn: Some(source.learn.clone().unwrap_or_else(|| learn.to_vec())),
        // Boxes follow the teacher's convention now.
        convention: None,
        negatives_per_image: source.negatives_per_image,
        complete: source.complete,
    }
}

/// A teacher that looks at images: its cascade down to R-Net, and its O-Net on what that finds.
struct Observer<'a> {
    searcher: Searcher,
    onet: TeacherNet,
    config: &'a TeacherConfig,
}

/// Which image failed, and why.
type Failed = (usize, Box<dyn std::error::Error + Send + Sync>);

impl<'a> Observer<'a> {
    fn new(teacher: Earlier<'_>, config: &'a TrainConfig) -> Result<Self, CropsError> {
        let [pnet, rnet, _] = config.teacher.thresholds;
        let unfit = |source: Box<dyn std::error::Error + Send + Sync>| CropsError::NoTeacher { source };
        let searcher = Searcher::new(teacher, &config.data.crops, [pnet, rnet], Depth::Rnet).map_err(|error| unfit(error.into()))?;
        let onet = TeacherNet::new(teacher.engine, ONET, teacher.weights).map_err(|error| unfit(error.into()))?;
        Ok(Self { searcher, onet, config: &config.teacher })
    }

    /// The faces in each of `frames`, best first; none in one that cannot be read.
    fn look(&mut self, frames: &[Loaded]) -> Result<Vec<Vec<Seen>>, Failed> {
        let found = self.searcher.search(frames);
        let views: Vec<Views> = frames
            .par_iter()
            .zip(&found)
            .map(|(frame, found)| frame.as_ref().map_or_else(|_| Views::default(), |frame| self.views(frame, found)))
            .collect();
        for (at, found) in found.into_iter().enumerate() {
            found.map_err(|error| (at, error.into()))?;
        }
        // Crops of all images in one go: few images fill a batch.
        let rgb = views.iter().map(|views| &*views.rgb).collect::<Vec<_>>().concat();
        let mut outputs = self.onet.outputs(&rgb).map_err(|error| (0, error.into()))?.into_iter();
        let item = (3 * ONET.side * ONET.side) as usize;
        let seen = views.iter().map(|views| views.seen(&outputs.by_ref().take(views.rgb.len() / item).collect::<Vec<_>>(), self.config));
        Ok(seen.collect())
    }

    /// Every proposal of the cascade as O-Net is to see it: at some scales, and mirrored too.
    fn views(&self, frame: &Frame, found: &SearchResult) -> Views {
        let squares = found.iter().flat_map(|found| &found.boxes).map(|(found, _)| CropWindow::around(found));
        let windows: Vec<CropWindow> =
            squares.flat_map(|square| self.config.scales.iter().map(move |&scale| square.scaled(scale))).collect();
        let plain = |window: &CropWindow| Cut {
            window: *window,
            sample: SampleKind::Negative,
            targets: Targets::default(),
            turn: 0.0,
            about: Vec2::ZERO,
        };
        let mut rgb = pixels::cut(frame, &windows.iter().map(plain).collect::<Vec<_>>(), ONET.side);
        if self.config.mirror {
            let mut mirrored = rgb.clone();
            mirrored.chunks_exact_mut((3 * ONET.side * ONET.side) as usize).for_each(|crop| super::augment::mirror(crop, ONET.side));
            rgb.append(&mut mirrored);
        }
        Views { windows, rgb }
    }
}

/// Crops of one image: all windows, those of one proposal beside each other; then all of them mirrored, or not.
#[derive(Default)]
struct Views {
    windows: Vec<CropWindow>,
    rgb: Vec<u8>,
}

impl Views {
    /// What O-Net's `outputs` for the crops mean, averaged over the views of a proposal.
    fn seen(&self, outputs: &[Vec<f32>], config: &TeacherConfig) -> Vec<Seen> {
        let (scales, count) = (config.scales.len(), self.windows.len());
        let proposals = self.windows.chunks_exact(scales).enumerate().map(|(at, windows)| {
            let first = at * scales;
            let plain = windows.iter().zip(&outputs[first..]).map(|(window, outputs)| (window, outputs, false));
            let mirrored = outputs.get(count + first..).unwrap_or_default();
            let mirrored = windows.iter().zip(mirrored).map(|(window, outputs)| (window, outputs, true));
            average(plain.chain(mirrored))
        });
        suppress(proposals.filter(|seen| seen.score >= config.thresholds[2]).collect(), COVERED)
    }
}

/// The mean of what O-Net says of one proposal: box and points in pixels of the image, score by the mean logit.
fn average<'v>(views: impl Iterator<Item = (&'v CropWindow, &'v Vec<f32>, bool)>) -> Seen {
    let (mut count, mut sum, mut corners, mut points) = (0.0_f32, 0.0, [0.0_f32; 4], [Vec2::ZERO; 5]);
    for (window, outputs, mirrored) in views {
        let mut targets = Targets::default();
        targets.values.copy_from_slice(&outputs[2..]);
        let values = if mirrored { targets.mirrored().values } else { targets.values };
        let (b, side) = (window.bounding_box(), window.side as f32);
        for (corner, (edge, offset)) in corners.iter_mut().zip([b.x1, b.y1, b.x2, b.y2].into_iter().zip(values)) {
            *corner += edge + offset * side;
        }
        for (i, point) in points.iter_mut().enumerate() {
            *point += Vec2::new(b.x1, b.y1) + side * Vec2::new(values[4 + i], values[9 + i]);
        }
        sum += logit(outputs);
        count += 1.0;
    }
    let [x1, y1, x2, y2] = corners.map(|corner| corner / count);
    let landmarks: Landmarks = points.map(|point| point / count);
    Seen { bounding_box: BoundingBox { x1, y1, x2, y2 }, landmarks, score: 1.0 / (1.0 + (-sum / count).exp()) }
}
