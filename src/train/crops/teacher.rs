//! Labelling by a teacher: a trained cascade corrects and completes annotations before crops are cut.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use glam::Vec2;
use rayon::prelude::*;

use super::judge::{TeacherNet, logit};
use super::law::Cut;
use super::merge::{Seen, agree, merge, suppress};
use super::prepare::{CropJob, CropProgress};
use super::search::{Earlier, Loaded, SearchResult, Searcher};
use super::window::{CropWindow, SampleKind, Targets};
use super::{CropsError, Photo, photos, pixels};
use crate::cascade::{Depth, Frame};
use crate::data::{AnnotatedImage, DataError, Detection, Faults, json, match_images};
use crate::files;
use crate::geometry::{BoundingBox, Landmarks};
use crate::nets::ONET;
use crate::train::config::{Lesson, Source, SourceFormat, TeacherConfig, TrainConfig};

/// Number of images that are processed together.
const TOGETHER: usize = 32;
/// Overlap limit, the same as in the cascade's last NMS.
const COVERED: f32 = 0.7;

/// Applies the teacher of `job` to all images and writes the merged labels of each source to `<number>.jsonl`
/// in `folder`, atomically. Sources whose file exists already are skipped. Progress is reported to `watch`.
/// Returns `None` if it was stopped.
///
/// Returns the settings of `job` with these files as sources. Since every face in their images is now
/// labelled, all images may be used for negatives, except those of [`SourceFormat::Folder`] and unless a
/// source restricts its uses.
///
/// # Errors
///
/// [`CropsError`]; the files of completed sources are kept.
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
            let names: Vec<String> = own.iter().map(|photo| below(&images, &photo.path)).collect();
            let others = detections(source, &names, &config.teacher, faults)?;
            let mut lines = String::new();
            for (group, first) in own.chunks(TOGETHER).zip((0..).step_by(TOGETHER)) {
                if job.stop.load(Ordering::Relaxed) {
                    return Ok(None);
                }
                let seen = if source.unseen {
                    vec![Some(Vec::new()); group.len()]
                } else {
                    let frames: Vec<Loaded> = group.par_iter().map(|photo| (job.read)(&photo.path)).collect();
                    let seen = observer.look(group, &frames).map_err(|(at, source)| CropsError::teacher(&group[at].path, source))?;
                    frames.iter().zip(seen).map(|(frame, seen)| frame.is_ok().then_some(seen)).collect()
                };
                for ((at, photo), seen) in (first..).zip(group).zip(seen) {
                    let seen = seen.map(|seen| match &others {
                        Some(others) => agree(&seen, &others[at], &config.teacher),
                        None => seen,
                    });
                    // Images that cannot be read keep their labels; they are reported when their crops are
                    // cut.
                    let faces =
                        seen.map_or_else(|| photo.faces.clone(), |seen| merge(&photo.faces, &seen, source.complete, &config.teacher));
                    lines += &json::annotation_line(&AnnotatedImage { path: names[at].clone(), faces, line: 0 });
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

/// The path of an image below the folder of `images`.
fn below(images: &Path, path: &Path) -> String {
    path.strip_prefix(images).unwrap_or(path).to_string_lossy().into_owned()
}

/// What the other detector of `source`, if it has one, saw in each of the images `names`.
fn detections(source: &Source, names: &[String], config: &TeacherConfig, faults: &mut Faults) -> Result<Option<Vec<Vec<Seen>>>, DataError> {
    let Some(path) = &source.detections else { return Ok(None) };
    let seen = |face: &Detection| {
        let score = face.score as f32;
        Seen { bounding_box: face.bounding_box, exact: false, landmarks: face.landmarks.filter(|_| score >= config.other_landmarks), score }
    };
    let all = json::read_detections(path, faults)?;
    let found = match_images(names, &all, &mut faults.of(path))?;
    Ok(Some(found.into_iter().map(|image| image.map_or_else(Vec::new, |image| image.faces.iter().map(seen).collect())).collect()))
}

/// Returns `source` with the labels by a teacher in the file at `path`.
fn labelled(source: &Source, path: PathBuf, images: PathBuf) -> Source {
    let all = [Lesson::Negatives, Lesson::Faces, Lesson::Landmarks];
    let learn = if source.format == SourceFormat::Folder { &all[1..] } else { &all[..] };
    Source {
        format: SourceFormat::Json,
        annotations: path,
        images: Some(images),
        landmarks: None,
        learn: Some(source.learn.clone().unwrap_or_else(|| learn.to_vec())),
        // Boxes now follow the teacher's convention.
        convention: None,
        negatives_per_image: source.negatives_per_image,
        complete: source.complete,
        unseen: source.unseen,
        // The file has the images that were chosen, and what the other detector saw in them.
        except: Vec::new(),
        most_images: None,
        min_face_px: source.min_face_px,
        detections: None,
    }
}

/// A teacher applied to images: its cascade up to R-Net, and its O-Net on the results.
struct Observer<'a> {
    searcher: Searcher,
    onet: TeacherNet,
    config: &'a TeacherConfig,
    /// Smallest face of the settings, px.
    least: f64,
}

/// Index of the image that failed, and the error.
type Failed = (usize, Box<dyn std::error::Error + Send + Sync>);

impl<'a> Observer<'a> {
    fn new(teacher: Earlier<'_>, config: &'a TrainConfig) -> Result<Self, CropsError> {
        let [pnet, rnet, _] = config.teacher.thresholds;
        let unfit = |source: Box<dyn std::error::Error + Send + Sync>| CropsError::NoTeacher { source };
        let searcher = Searcher::new(teacher, &config.data.crops, [pnet, rnet], Depth::Rnet).map_err(|error| unfit(error.into()))?;
        let onet = TeacherNet::new(teacher.engine, ONET, teacher.weights).map_err(|error| unfit(error.into()))?;
        Ok(Self { searcher, onet, config: &config.teacher, least: config.data.crops.detect_min_face_px })
    }

    /// Returns the faces in each of `frames`, the images of `photos`, best first; empty for an image that
    /// cannot be read. It looks for no faces smaller than those of the settings, whatever the source says.
    fn look(&mut self, photos: &[&Photo], frames: &[Loaded]) -> Result<Vec<Vec<Seen>>, Failed> {
        let usual = self.least;
        let found = self.searcher.search(photos, frames, |min_face_px| min_face_px.max(usual));
        let views: Vec<Views> = frames
            .par_iter()
            .zip(&found)
            .map(|(frame, found)| frame.as_ref().map_or_else(|_| Views::default(), |frame| self.views(frame, found)))
            .collect();
        for (at, found) in found.into_iter().enumerate() {
            found.map_err(|error| (at, error.into()))?;
        }
        // Crops of all images are evaluated together, because few images do not fill a batch.
        let rgb = views.iter().map(|views| &*views.rgb).collect::<Vec<_>>().concat();
        let mut outputs = self.onet.outputs(&rgb).map_err(|error| (0, error.into()))?.into_iter();
        let item = (3 * ONET.side * ONET.side) as usize;
        let seen = views.iter().map(|views| views.seen(&outputs.by_ref().take(views.rgb.len() / item).collect::<Vec<_>>(), self.config));
        Ok(seen.collect())
    }

    /// Returns every proposal of the cascade as inputs of O-Net: at several scales, and mirrored too.
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

/// Crops of one image: all windows, with those of one proposal next to each other; then, if used, all of them
/// mirrored.
#[derive(Default)]
struct Views {
    windows: Vec<CropWindow>,
    rgb: Vec<u8>,
}

impl Views {
    /// Converts O-Net's `outputs` for the crops to faces, averaged over the views of a proposal.
    fn seen(&self, outputs: &[Vec<f32>], config: &TeacherConfig) -> Vec<Seen> {
        let (scales, count) = (config.scales.len(), self.windows.len());
        let proposals = self.windows.chunks_exact(scales).enumerate().map(|(at, windows)| {
            let first = at * scales;
            let plain = windows.iter().zip(&outputs[first..]).map(|(window, outputs)| (window, outputs, false));
            let mirrored = outputs.get(count + first..).unwrap_or_default();
            let mirrored = windows.iter().zip(mirrored).map(|(window, outputs)| (window, outputs, true));
            average(plain.chain(mirrored), config)
        });
        suppress(proposals.filter(|seen| seen.score >= config.thresholds[2]).collect(), COVERED)
    }
}

/// Averages O-Net's outputs for one proposal: box and landmarks in pixels of the image, score from the mean
/// logit.
fn average<'v>(views: impl Iterator<Item = (&'v CropWindow, &'v Vec<f32>, bool)>, config: &TeacherConfig) -> Seen {
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
    let (landmarks, score): (Landmarks, f32) = (points.map(|point| point / count), 1.0 / (1.0 + (-sum / count).exp()));
    let landmarks = (score >= config.landmarks).then_some(landmarks);
    Seen { bounding_box: BoundingBox { x1, y1, x2, y2 }, exact: true, landmarks, score }
}
