//! `mtcmcn eval boxes`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use mtcmcn::data::any::{self, AnyForm};
use mtcmcn::data::{AnnotatedImage, Detection, Faults};
use mtcmcn::eval::boxes::{BoxesCase, BoxesScore, FacePart, coco_average_precision, score, verdicts};
use mtcmcn::eval::curve::{precision_recall, recall_at, thinned};
use mtcmcn::eval::matching::MatchVerdict;
use mtcmcn::plot::{Axis, LineChart, Series};

use super::figures::{Cell, Column, Example, Figures, MarkRole, MarkShape};
use super::source::{Findings, Listed, SourceArgs, predictions};
use super::worst::Worst;
use super::{Outcome, Output};

/// Average precision on any annotated set, by face size and occlusion
///
/// Annotations are WIDER FACE text, RetinaFace's label.txt, COCO, Pascal VOC, YOLO, labelme, or JSON lines,
/// told by their content. A detection is matched to the face of highest overlap that no better one has; faces
/// flagged invalid count neither for nor against. AP is the area under the monotone precision-recall curve
/// through all its points.
#[derive(Debug, Args)]
pub struct BoxesArgs {
    /// Annotations: a file, or of Pascal VOC, YOLO and labelme the folder of theirs
    #[arg(value_name = "PATH")]
    annotations: PathBuf,

    /// Their form, if it is not that which they seem to have: wider, retinaface, json, coco, labelme, voc,
    /// yolo, pts, wflw
    #[arg(long, value_name = "FORM", help_heading = "Input")]
    form: Option<AnyForm>,

    /// Least overlap (IoU) of a face found; several, separated by commas, make a column each
    #[arg(long, value_name = "IOU", value_delimiter = ',', default_values_t = [0.5], value_parser = share)]
    iou: Vec<f64>,

    /// Heights in px that part small, middle and large faces
    #[arg(long, value_name = "PX,PX", value_delimiter = ',', default_values_t = [32.0, 96.0])]
    heights: Vec<f64>,

    /// Show the recall at these numbers of false positives over the whole set, at the first --iou
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [0, 10, 100])]
    false_positives: Vec<usize>,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    output: Output,
}

/// An overlap: over 0 and at most 1.
pub fn share(text: &str) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value <= 1.0 { Ok(value) } else { Err("must be over 0 and at most 1".to_owned()) }
}

/// How boxes are scored.
pub struct ScoringRules<'a> {
    pub ious: &'a [f64],
    pub heights: &'a [f64],
    pub false_positives: &'a [usize],
    pub examples: usize,
}

/// Measures and prints.
///
/// # Errors
///
/// If annotations or detections cannot be read, or results not be written.
pub fn run(args: &BoxesArgs, quiet: bool) -> Result<Outcome> {
    args.output.prepare()?;
    let mut faults = args.output.faults();
    let annotated = read(&args.annotations, args.source.images.as_deref(), args.form, &mut faults)?;
    args.output.ensure_some(annotated.len(), &args.annotations, &faults)?;
    let found = args.source.find(&Listed::of(&annotated, &args.annotations), &mut faults, quiet, predictions)?;
    let rules =
        ScoringRules { ious: &args.iou, heights: &args.heights, false_positives: &args.false_positives, examples: args.output.examples };
    let mut figures = figures(&annotated, &found, &rules);
    figures.set = args.annotations.display().to_string();
    figures.images.clone_from(&args.source.images);
    args.output.give(&figures, &faults)
}

/// Annotations in any form.
///
/// # Errors
///
/// If the file cannot be read.
pub fn read(path: &Path, images: Option<&Path>, form: Option<AnyForm>, faults: &mut Faults) -> Result<Vec<AnnotatedImage>> {
    let beside = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    Ok(any::read(path, images.unwrap_or(beside), form, faults)?)
}

/// The parts that figures are given for: all, and those that the set has faces of.
fn parts(annotated: &[AnnotatedImage], heights: &[f64]) -> Vec<(String, FacePart)> {
    let mut parts = vec![("all".to_owned(), FacePart::All)];
    let ends: Vec<f64> = [0.0].into_iter().chain(heights.iter().copied()).chain([f64::INFINITY]).collect();
    for pair in ends.windows(2) {
        let name = match (pair[0], pair[1]) {
            (0.0, to) => format!("under {to} px high"),
            (from, to) if to.is_infinite() => format!("{from} px and higher"),
            (from, to) => format!("{from} to {to} px high"),
        };
        parts.push((name, FacePart::Height(pair[0], pair[1])));
    }
    let degrees: std::collections::BTreeSet<u8> =
        annotated.iter().flat_map(|image| &image.faces).map(|face| face.attributes.occlusion).collect();
    if degrees.len() > 1 {
        for degree in degrees {
            let name = ["not occluded", "partly occluded", "heavily occluded"].get(usize::from(degree)).copied().unwrap_or("occluded");
            parts.push((name.to_owned(), FacePart::Occlusion(degree)));
        }
    }
    parts
}

/// The figures of `found` on `annotated`.
pub fn figures(annotated: &[AnnotatedImage], found: &Findings, rules: &ScoringRules) -> Figures {
    let none: &[Detection] = &[];
    let detections = |index: usize| found.images[index].as_ref().map_or(none, |image| &image.faces);
    let images: Vec<BoxesCase> =
        annotated.iter().enumerate().map(|(at, image)| BoxesCase { faces: &image.faces, detections: detections(at) }).collect();
    let mut columns = vec![Column::new("faces", "faces")];
    columns.extend(rules.ious.iter().map(|iou| Column::new(format!("ap_{}", (iou * 100.0).round()), format!("AP at {iou}"))));
    columns.push(Column::new("ap_coco", "AP 0.5:0.95"));
    columns.extend(rules.false_positives.iter().map(|count| Column::new(format!("recall_at_{count}"), format!("recall at {count} FP"))));
    let mut rows = Vec::new();
    let mut curves = Vec::new();
    for (name, part) in parts(annotated, rules.heights) {
        let scores: Vec<BoxesScore> = rules.ious.iter().map(|&iou| score(&images, part, iou)).collect();
        let Some(first) = scores.first().filter(|score| score.faces > 0 || part == FacePart::All) else { continue };
        let mut cells = vec![Cell::Count(first.faces)];
        cells.extend(scores.iter().map(|score| Cell::Figure(score.average_precision())));
        cells.push(Cell::Figure(coco_average_precision(&images, part)));
        cells.extend(rules.false_positives.iter().map(|&count| Cell::Figure(recall_at(&first.tallies, count, first.faces))));
        curves.push(Series::new(name.clone(), thinned(&precision_recall(&first.tallies, first.faces), [0.002, 0.01])));
        rows.push((name, cells));
    }
    let iou = rules.ious.first().copied().unwrap_or(0.5);
    let chart = LineChart {
        title: format!("Precision and recall at IoU {iou}"),
        note: found.origin.clone(),
        x: Axis::new("recall").range(0.0, 1.0),
        y: Axis::new("precision").range(0.0, 1.0),
        series: curves,
        references: Vec::new(),
    };
    let (misses, alarms) = examples(annotated, &images, iou, rules.examples);
    Figures {
        protocol: "boxes",
        origin: found.origin.clone(),
        setting: found.setting.clone(),
        counts: vec![
            ("images", images.len()),
            ("faces", annotated.iter().map(|image| image.faces.len()).sum()),
            ("detections", images.iter().map(|image| image.detections.len()).sum()),
        ],
        columns,
        rows,
        charts: vec![("precision_recall", chart)],
        examples: vec![("Largest faces missed", misses), ("Surest false alarms", alarms)],
        ..Figures::default()
    }
}

/// The largest faces that no detection has, and the wrong detections of highest score.
pub fn examples(annotated: &[AnnotatedImage], images: &[BoxesCase], iou: f64, count: usize) -> (Vec<Example>, Vec<Example>) {
    let (mut misses, mut alarms) = (Worst::new(count), Worst::new(count));
    for (at, (image, verdicts)) in images.iter().zip(verdicts(images, FacePart::All, iou)).enumerate() {
        let mut seen = vec![false; image.faces.len()];
        for verdict in &verdicts {
            if let MatchVerdict::Right(face) = verdict {
                seen[*face] = true;
            }
        }
        for (face, _) in image.faces.iter().zip(seen).filter(|(face, seen)| !face.ignore && !seen) {
            let b = face.bounding_box;
            misses.add(f64::from(b.height()), || (at, b, format!("{:.0} x {:.0} px", b.width(), b.height())));
        }
        for (detection, _) in image.detections.iter().zip(&verdicts).filter(|(_, verdict)| **verdict == MatchVerdict::Wrong) {
            alarms.add(detection.score, || (at, detection.bounding_box, format!("score {:.4}", detection.score)));
        }
    }
    // Marks are many, so they are made for what is shown alone.
    let example = |(at, focus, caption): (usize, _, _)| {
        let truth = images[at].faces.iter().map(|face| (MarkRole::Truth, MarkShape::Box(face.bounding_box)));
        let found = images[at].detections.iter().map(|face| (MarkRole::Found, MarkShape::Box(face.bounding_box)));
        Example { path: annotated[at].path.clone(), focus, caption, marks: truth.chain(found).collect() }
    };
    (misses.finish(example), alarms.finish(example))
}
