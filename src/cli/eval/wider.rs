//! `mtcmcn eval wider`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use mtcmcn::data::{AnnotatedImage, Detection, Faults, wider, wider_mat};
use mtcmcn::eval::boxes::BoxesCase as PlainImage;
use mtcmcn::eval::curve::thinned;
use mtcmcn::eval::wider::{Rules, WiderCase, score, score_range};
use mtcmcn::geometry::BoundingBox;
use mtcmcn::plot::{Axis, LineChart, Series};

use super::boxes::{self, share};
use super::figures::{Cell, Column, Figures};
use super::source::{Listed, SourceArgs, predictions};
use super::{Outcome, Output};

/// WIDER FACE: average precision by its own rules, for the easy, medium and hard faces of the validation set
///
/// Scores are stretched to 0..1 over the whole set, overlaps count one pixel more, detections of faces that
/// do not count in a setting are passed over, and the curve has a thousand thresholds.
#[derive(Debug, Args)]
pub struct WiderArgs {
    /// Ground truth: the directory of the official .mat files, or annotations in the text form (one setting,
    /// of all faces not flagged invalid)
    #[arg(value_name = "PATH")]
    truth: PathBuf,

    /// Least overlap (IoU) of a face found
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = share)]
    iou: f64,

    /// Round overlaps to 0 or 1 before the best is chosen, as the official MATLAB program does since its
    /// boxes are integers
    #[arg(long)]
    int32: bool,

    /// Write the detections to this directory in the official form, <event>/<image>.txt
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    official: Option<PathBuf>,

    #[command(flatten)]
    source: SourceArgs,

    #[command(flatten)]
    output: Output,
}

/// Images with whether each face counts, by setting.
struct WiderTruth {
    images: Vec<AnnotatedImage>,
    settings: Vec<(String, Vec<Vec<bool>>)>,
}

fn read(args: &WiderArgs, faults: &mut Faults) -> Result<WiderTruth> {
    if args.truth.is_dir() {
        let wider_mat::GroundTruth { images, counted } = wider_mat::read(&args.truth, faults)?;
        let settings = wider_mat::SETTINGS.iter().map(|setting| (*setting).to_owned()).zip(counted).collect();
        return Ok(WiderTruth { images, settings });
    }
    let images = boxes::read(&args.truth, args.source.images.as_deref(), None, faults)?;
    let counted = images.iter().map(|image| image.faces.iter().map(|face| !face.ignore).collect()).collect();
    Ok(WiderTruth { images, settings: vec![("all".to_owned(), counted)] })
}

/// Measures and prints.
///
/// # Errors
///
/// If ground truth or detections cannot be read, or results not be written.
pub fn run(args: &WiderArgs, quiet: bool) -> Result<Outcome> {
    args.output.prepare()?;
    let mut faults = args.output.faults();
    let truth = read(args, &mut faults)?;
    args.output.ensure_some(truth.images.len(), &args.truth, &faults)?;
    let found = args.source.find(&Listed::of(&truth.images, &args.truth), &mut faults, quiet, predictions)?;
    if let Some(directory) = &args.official {
        let known: Vec<_> = found.images.iter().flatten().cloned().collect();
        wider::write_predictions(directory, &known)?;
    }
    let none: &[Detection] = &[];
    let detections: Vec<&[Detection]> = found.images.iter().map(|image| image.as_ref().map_or(none, |image| &image.faces)).collect();
    // Misses and false alarms are found by the plain rules: they are to be looked at.
    let plain: Vec<_> =
        truth.images.iter().zip(&detections).map(|(image, found)| PlainImage { faces: &image.faces, detections: found }).collect();
    let (misses, alarms) = boxes::examples(&truth.images, &plain, args.iou, args.output.examples);
    let faces: Vec<Vec<BoundingBox>> =
        truth.images.iter().map(|image| image.faces.iter().map(|face| face.bounding_box).collect()).collect();
    let range = score_range(detections.iter().copied());
    let rules = Rules { iou: args.iou, rounded: args.int32 };
    let (mut rows, mut series) = (Vec::new(), Vec::new());
    for (setting, counted) in &truth.settings {
        let images: Vec<WiderCase> =
            (0..faces.len()).map(|at| WiderCase { faces: &faces[at], counted: &counted[at], detections: detections[at] }).collect();
        let score = score(&images, range, rules);
        rows.push((setting.clone(), vec![Cell::Count(score.faces), Cell::Figure(score.average_precision)]));
        series.push(Series::new(format!("{setting} {:.3}", score.average_precision), thinned(&score.curve, [0.002, 0.01])));
    }
    let mut notes = vec![format!("IoU {}, one pixel added to each side of a box", args.iou)];
    if args.int32 {
        notes.push("overlaps rounded to 0 or 1, as by the official program".to_owned());
    }
    let chart = LineChart {
        title: "WIDER FACE".to_owned(),
        note: found.origin.clone(),
        x: Axis::new("recall").range(0.0, 1.0),
        y: Axis::new("precision").range(0.0, 1.0),
        series,
        references: Vec::new(),
    };
    let figures = Figures {
        protocol: "WIDER FACE",
        set: args.truth.display().to_string(),
        origin: found.origin,
        setting: found.setting,
        counts: vec![
            ("images", truth.images.len()),
            ("faces", faces.iter().map(Vec::len).sum()),
            ("detections", detections.iter().map(|found| found.len()).sum()),
        ],
        notes,
        columns: vec![Column::new("faces", "faces"), Column::new("ap", "AP")],
        rows,
        charts: vec![("precision_recall", chart)],
        examples: vec![("Largest faces missed", misses), ("Surest false alarms", alarms)],
        images: args.source.images.clone(),
    };
    args.output.give(&figures, &faults)
}
