//! `mtcmcn eval aflw`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mtcmcn::data::{AnnotatedImage, Annotation, Detection, Faults, aflw, any, facepoint, json};
use mtcmcn::eval::aflw::{ComparedFace as Compared, FAILURE, LANDMARKS, OVERLAP, compare, score};
use mtcmcn::eval::curve::thinned;
use mtcmcn::geometry::BoundingBox;
use mtcmcn::plot::{Axis, LineChart, Series};

use super::boxes::share;
use super::figures::{Cell, Column, Example, Figures, MarkRole, MarkShape};
use super::source::{Findings, Listed, SourceArgs, begins_with, is_json};
use super::worst::Worst;
use super::{Outcome, Output};

/// AFLW and its like: error of the five landmarks over the distance of the eyes
///
/// A face is found if a detection overlaps its box by --iou or more; the one that overlaps most is compared.
/// Misses are counted beside the mean.
#[derive(Debug, Args)]
pub struct AflwArgs {
    /// Faces with boxes and five points: a `CNN_FacePoint` or MTFL list, AFLW's `aflw.sqlite`, or JSON lines;
    /// with --form more
    #[arg(value_name = "FILE")]
    annotations: PathBuf,

    /// Which kind of list it is; SQLite and JSON are told by their content
    #[arg(long, value_enum, default_value_t = ListForm::Facepoint)]
    form: ListForm,

    /// Least overlap (IoU) with the annotated box. That of `eval table`: boxes of these sets end at the
    /// brows, so that a detector's box around the whole head, with every point in place, may overlap them by
    /// less than half
    #[arg(long, value_name = "IOU", default_value_t = OVERLAP, value_parser = share)]
    iou: f64,

    /// Take only this many faces, drawn by --seed, where the official list of test faces is not at hand
    #[arg(long, value_name = "N")]
    sample: Option<usize>,

    /// Which sample
    #[arg(long, value_name = "SEED", default_value_t = 0, requires = "sample")]
    seed: u64,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    output: Output,
}

/// The kinds of lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListForm {
    /// Path, left, right, top, bottom, then x y of each point
    Facepoint,
    /// Path, five x, five y, then attributes; boxes are made from the points
    Mtfl,
    /// 300-W: a folder of .pts files of 68, 49 or 5 points, or one of them; boxes are made from the points
    Pts,
    /// WFLW's list of 98 points, boxes and paths
    Wflw,
    /// RetinaFace's label.txt
    Retinaface,
}

/// Measures and prints.
///
/// # Errors
///
/// If annotations or detections cannot be read, or results not be written.
pub fn run(args: &AflwArgs, quiet: bool) -> Result<Outcome> {
    args.output.prepare()?;
    let mut faults = args.output.faults();
    let mut annotated = read(&args.annotations, args.form, &mut faults)?;
    args.output.ensure_some(annotated.len(), &args.annotations, &faults)?;
    let mut notes = Vec::new();
    if let Some(size) = args.sample {
        let all = sample(&mut annotated, size, args.seed);
        notes.push(format!("a sample of {} of {all} faces, seed {}; not the published test set", size.min(all), args.seed));
    }
    let found = args.source.find(&Listed::of(&annotated, &args.annotations), &mut faults, quiet, |path, _| {
        bail!("{} has no landmarks: JSON lines as of `mtcmcn detect --json` are needed", path.display())
    })?;
    let mut figures = figures(&annotated, &found, args.iou, args.output.examples);
    figures.notes.extend(notes);
    figures.set = args.annotations.display().to_string();
    figures.images.clone_from(&args.source.images);
    args.output.give(&figures, &faults)
}

/// Annotated faces in any of the forms.
///
/// # Errors
///
/// If the file cannot be read.
pub fn read(path: &Path, form: ListForm, faults: &mut Faults) -> Result<Vec<AnnotatedImage>> {
    if is_json(path)? {
        return Ok(json::read_annotations(path, faults)?);
    }
    if begins_with(path, b"SQLite format 3\0")? {
        return Ok(aflw::read(path, faults)?);
    }
    let images = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    match form {
        ListForm::Pts => return Ok(any::read(path, images, Some(any::AnyForm::Pts), faults)?),
        ListForm::Wflw => return Ok(any::read(path, images, Some(any::AnyForm::Wflw), faults)?),
        ListForm::Retinaface => return Ok(any::read(path, images, Some(any::AnyForm::RetinaFace), faults)?),
        ListForm::Facepoint | ListForm::Mtfl => {}
    }
    let form = if form == ListForm::Mtfl { facepoint::FacepointForm::Mtfl } else { facepoint::FacepointForm::CnnFacePoint };
    Ok(facepoint::read(path, form, faults)?)
}

/// Keeps `size` faces by a hash of the seed, the image and the face's place in it; returns how many there
/// were.
fn sample(annotated: &mut Vec<AnnotatedImage>, size: usize, seed: u64) -> usize {
    use sha2::{Digest as _, Sha256};
    let rank = |path: &str, face: usize| Sha256::digest(format!("{seed} {path} {face}")).to_vec();
    let mut ranked: Vec<(Vec<u8>, usize, usize)> = Vec::new();
    for (at, image) in annotated.iter().enumerate() {
        ranked.extend((0..image.faces.len()).map(|face| (rank(&image.path, face), at, face)));
    }
    let all = ranked.len();
    ranked.sort();
    let kept: std::collections::HashSet<(usize, usize)> = ranked.into_iter().take(size).map(|(_, at, face)| (at, face)).collect();
    for (at, image) in annotated.iter_mut().enumerate() {
        let faces = std::mem::take(&mut image.faces);
        image.faces = faces.into_iter().enumerate().filter(|(face, _)| kept.contains(&(at, *face))).map(|(_, face)| face).collect();
    }
    annotated.retain(|image| !image.faces.is_empty());
    all
}

/// The figures of `found` on `annotated`.
pub fn figures(annotated: &[AnnotatedImage], found: &Findings, iou: f64, examples: usize) -> Figures {
    let mut compared = Vec::new();
    let (mut misses, mut bad) = (Worst::new(examples), Worst::new(examples));
    let of = |at: usize| -> &[Detection] { found.images[at].as_ref().map_or(&[], |image| &image.faces) };
    for (at, image) in annotated.iter().enumerate() {
        for (number, face) in image.faces.iter().enumerate() {
            let result = compare(face, of(at), iou);
            match (result, result.error()) {
                (Compared::No, _) => misses.add(f64::from(face.bounding_box.height()), || (at, number, "missed".to_owned())),
                (_, Some(error)) => bad.add(error, || (at, number, format!("error {error:.3}"))),
                _ => {}
            }
            compared.push(result);
        }
    }
    let example = |(at, number, caption): (usize, usize, String)| {
        let face = &annotated[at].faces[number];
        Example { path: annotated[at].path.clone(), focus: face.bounding_box, caption, marks: marks(face, of(at)) }
    };
    let score = score(&compared);
    let figure = |name: &str, value: f64| (name.to_owned(), vec![Cell::Figure(value)]);
    let mut rows =
        vec![figure("mean error", score.mean), figure("standard error", score.standard_error), figure("median error", score.median)];
    rows.extend(LANDMARKS.iter().zip(score.by_landmark).map(|(name, error)| figure(name, error)));
    rows.push(figure(&format!("failures (error over {FAILURE}, or missed)"), score.failures));
    rows.push(("faces".to_owned(), vec![Cell::Count(score.faces)]));
    rows.push(("misses".to_owned(), vec![Cell::Count(score.misses)]));
    let chart = LineChart {
        title: "Cumulative error of five landmarks".to_owned(),
        note: found.origin.clone(),
        x: Axis::new("mean error / distance of the eyes").range(0.0, 0.2),
        y: Axis::new("share of faces").range(0.0, 1.0),
        series: vec![Series::new("", thinned(&score.curve(), [0.0005, 0.005]))],
        references: Vec::new(),
    };
    let mut notes = vec![format!("over the distance of the annotated eyes; means over the faces found at IoU {iou} or more")];
    if score.skipped > 0 {
        notes.push(format!("{} faces without five points, or flagged, do not count", score.skipped));
    }
    Figures {
        protocol: "five landmarks",
        origin: found.origin.clone(),
        setting: found.setting.clone(),
        counts: vec![("images", annotated.len()), ("faces", score.faces), ("misses", score.misses)],
        notes,
        columns: vec![Column::new("value", "")],
        rows,
        charts: vec![("cumulative_error", chart)],
        examples: vec![("Missed", misses.finish(example)), ("Largest errors", bad.finish(example))],
        ..Figures::default()
    }
}

fn marks(face: &Annotation, detections: &[Detection]) -> Vec<(MarkRole, MarkShape)> {
    let shapes = |role, b: BoundingBox, points: Option<_>| {
        [Some((role, MarkShape::Box(b))), points.map(|points| (role, MarkShape::Points(points)))].into_iter().flatten()
    };
    let found = detections.iter().flat_map(|found| shapes(MarkRole::Found, found.bounding_box, found.landmarks));
    shapes(MarkRole::Truth, face.bounding_box, face.landmarks).chain(found).collect()
}
