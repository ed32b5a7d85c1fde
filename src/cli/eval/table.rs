//! `mtcmcn eval table`: the accuracy table of the README, from a folder of photos.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use mtcmcn::Config;
use mtcmcn::data::{AnnotatedImage, Faults};
use mtcmcn::eval::matching::MatchVerdict;
use mtcmcn::eval::{aflw as landmarks, boxes as precision};
use serde_json::{Value, json};

use super::figures::counted;
use super::source::{Findings, Listed, SourceArgs, locate};
use super::{aflw, boxes};
use crate::cli::decode;
use crate::cli::settings::DetectorArgs;
use crate::cli::{Outcome, print};

/// Accuracy on three small sets as one table in Markdown, a column for each weights file
///
/// AP is measured with thresholds 0.6/0.35/0.01, so that the curve reaches far; landmarks and false alarms
/// with those that each weights file was tuned for.
#[derive(Debug, Args)]
pub struct TableArgs {
    /// Directory with `cmu_mit`, `wider_style/val` and `facepoint/val`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Weights to measure beside our own; may be given several times
    #[arg(long, value_name = "FILE")]
    weights: Vec<PathBuf>,

    /// What to run on, as for `mtcmcn detect`
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    device: String,

    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// Folders of images and lists of their faces.
const CMU: [&str; 2] = ["cmu_mit/images", "cmu_mit/cmu_mit_bbx_gt.txt"];
const WIDER: [&str; 2] = ["wider_style/val/images", "wider_style/val/wider_face_val_bbx_gt.txt"];
const POINTS: [&str; 2] = ["facepoint/val", "facepoint/val/imageList.txt"];

/// Thresholds for curves.
const FAR: [f32; 3] = [0.6, 0.35, 0.01];

/// One row: set, measure, name in JSON, and a value for each weights file.
struct TableRow {
    set: String,
    measure: &'static str,
    key: &'static str,
    values: Vec<(f64, String)>,
}

/// One column being measured.
struct MeasuredColumn<'a> {
    args: &'a TableArgs,
    weights: Option<PathBuf>,
    quiet: bool,
    faults: &'a mut Faults,
}

impl MeasuredColumn<'_> {
    fn find(
        &mut self,
        [images, list]: [&str; 2],
        annotated: &[AnnotatedImage],
        min_face: f64,
        thresholds: Option<[f32; 3]>,
    ) -> Result<Findings> {
        let source = SourceArgs {
            images: Some(self.args.data.join(images)),
            detections: None,
            keep: None,
            redo: false,
            detector: DetectorArgs::fixed(&self.args.device, self.weights.clone(), min_face, thresholds),
        };
        source.find(&Listed::of(annotated, &self.args.data.join(list)), self.faults, self.quiet, |_, _| Ok(Vec::new()))
    }
}

impl MeasuredColumn<'_> {
    /// How many boxes P-Net hands on, mean over the photos: what a frame costs grows with them.
    fn crops_for_rnet(&self, folder: &str, set: &[AnnotatedImage]) -> Result<f64> {
        let args = DetectorArgs::fixed(&self.args.device, self.weights.clone(), Config::default().min_face_px, None);
        let mut detector = args.open(&args.load_weights()?)?;
        let mut sum = 0.0;
        for image in set {
            let path = locate(&self.args.data.join(folder), &image.path);
            let frame = decode::read(&path, args.max_pixels()).with_context(|| path.display().to_string())?;
            sum += f64::from(detector.detect(&frame)?.counts.merged);
        }
        Ok(sum / set.len() as f64)
    }
}

/// Measures and prints.
///
/// # Errors
///
/// If a set is not there or nothing can be detected.
pub fn run(args: &TableArgs, quiet: bool) -> Result<Outcome> {
    let mut faults = Faults::lenient();
    let read =
        |path: &str, faults: &mut Faults| boxes::read(&args.data.join(path), None, None, faults).with_context(|| format!("the set {path}"));
    let cmu = read(CMU[1], &mut faults)?;
    let wider = read(WIDER[1], &mut faults)?;
    let points = aflw::read(&args.data.join(POINTS[1]), aflw::ListForm::Facepoint, &mut faults)?;
    let columns = std::iter::once(None).chain(args.weights.iter().cloned().map(Some));
    let mut rows = rows(&cmu, &wider, &points);
    let mut heads = Vec::new();
    let mut engine = String::new();
    for weights in columns {
        let name = weights.as_ref().map_or("mtcmcn".into(), |path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        let bench = MeasuredColumn { args, weights, quiet, faults: &mut faults };
        let (values, found) = measure(bench, &cmu, &wider, &points)?;
        rows.iter_mut().zip(values).for_each(|(row, value)| row.values.push(value));
        let setting = found.setting.context("the detector ran")?;
        heads.push(format!("{name} ({}; {})", setting.weights(), setting.thresholds()));
        engine = setting.engine().to_owned();
    }
    for fault in faults.list() {
        if fault.skipped { tracing::error!("{fault}") } else { tracing::warn!("{fault}") }
    }
    print(if args.json { json_text(&rows, &heads, &engine)? } else { markdown(&rows, &heads, &engine) }.as_bytes())?;
    Ok(if faults.skipped() > 0 { Outcome::Failed } else { Outcome::Found })
}

fn rows(cmu: &[AnnotatedImage], wider: &[AnnotatedImage], points: &[AnnotatedImage]) -> Vec<TableRow> {
    let faces = |set: &[AnnotatedImage]| set.iter().map(|image| image.faces.len()).sum::<usize>();
    let named = |name: &str, set: &[AnnotatedImage]| format!("{name}, {}", counted(faces(set), "faces"));
    let empty = face_free(cmu).len() + face_free(wider).len();
    let row = |set: String, measure, key| TableRow { set, measure, key, values: Vec::new() };
    vec![
        row(named("cmu_mit", cmu), "AP at IoU 0.3", "cmu_mit_ap_30"),
        row(named("wider_style/val", wider), "AP at IoU 0.5", "wider_style_ap_50"),
        row(named("facepoint/val", points), "mean error of five points / distance of the eyes", "facepoint_mean_error"),
        row("facepoint/val".to_owned(), "faces missed", "facepoint_misses"),
        row(format!("{} without a face", counted(empty, "photos")), "false alarms", "false_alarms"),
        row(format!("wider_style/val, {}", counted(wider.len(), "photos")), "crops for R-Net in a photo", "crops_for_rnet"),
    ]
}

fn face_free(set: &[AnnotatedImage]) -> Vec<AnnotatedImage> {
    set.iter().filter(|image| image.faces.is_empty()).cloned().collect()
}

/// A value for each row, and what it was found with.
fn measure(
    mut bench: MeasuredColumn,
    cmu: &[AnnotatedImage],
    wider: &[AnnotatedImage],
    points: &[AnnotatedImage],
) -> Result<(Vec<(f64, String)>, Findings)> {
    let default = Config::default();
    let plain = |value: f64| (value, format!("{value:.3}"));
    let count = |value: usize| (value as f64, value.to_string());
    let mut values = Vec::new();
    for (place, set, min_face, iou) in [(CMU, cmu, 16.0, 0.3), (WIDER, wider, 20.0, 0.5)] {
        let found = bench.find(place, set, min_face, Some(FAR))?;
        values.push(plain(precision::score(&images_of(set, &found), precision::FacePart::All, iou).average_precision()));
    }
    let found = bench.find(POINTS, points, default.min_face_px, None)?;
    let compared = points.iter().zip(&found.images).flat_map(|(image, detections)| {
        let detections = detections.as_ref().map_or(&[][..], |image| &image.faces);
        image.faces.iter().map(move |face| landmarks::compare(face, detections, landmarks::OVERLAP))
    });
    let score = landmarks::score(&compared.collect::<Vec<_>>());
    values.push((score.mean, format!("{:.4} ± {:.4}", score.mean, score.standard_error)));
    values.push(count(score.misses));
    let mut alarms = 0;
    for (place, set) in [(CMU, cmu), (WIDER, wider)] {
        let empty = face_free(set);
        let found = bench.find(place, &empty, default.min_face_px, None)?;
        let verdicts = precision::verdicts(&images_of(&empty, &found), precision::FacePart::All, 0.5);
        alarms += verdicts.iter().flatten().filter(|verdict| **verdict == MatchVerdict::Wrong).count();
    }
    values.push(count(alarms));
    let crops = bench.crops_for_rnet(WIDER[0], wider)?;
    values.push((crops, format!("{crops:.0}")));
    Ok((values, found))
}

fn images_of<'a>(set: &'a [AnnotatedImage], found: &'a Findings) -> Vec<precision::BoxesCase<'a>> {
    let image = |(annotated, found): (&'a AnnotatedImage, &'a Option<mtcmcn::data::ImageDetections>)| precision::BoxesCase {
        faces: &annotated.faces,
        detections: found.as_ref().map_or(&[], |found| &found.faces),
    };
    set.iter().zip(&found.images).map(image).collect()
}

fn markdown(rows: &[TableRow], heads: &[String], engine: &str) -> String {
    let mut text = format!("| set | measure | {} |\n| --- | --- |{}\n", heads.join(" | "), " --- |".repeat(heads.len()));
    for row in rows {
        let values: Vec<&str> = row.values.iter().map(|(_, text)| text.as_str()).collect();
        let _ = writeln!(text, "| {} | {} | {} |", row.set, row.measure, values.join(" | "));
    }
    let Config { min_face_px, factor, .. } = Config::default();
    let ([far_p, far_r, far_o], points_iou) = (FAR, landmarks::OVERLAP);
    let _ = writeln!(
        text,
        "\nAP: thresholds {far_p}/{far_r}/{far_o}, min face {min_face_px} px (cmu_mit 16 px). Otherwise: the thresholds behind each name, min \
         face {min_face_px} px; a face with points is found at IoU {points_iou}. Factor {factor}; {engine}; mtcmcn {}.",
        env!("CARGO_PKG_VERSION")
    );
    text
}

fn json_text(rows: &[TableRow], heads: &[String], engine: &str) -> Result<String> {
    let row = |row: &TableRow| json!({"set": row.set, "measure": row.measure, "key": row.key, "values": row.values.iter().map(|(value, _)| value).collect::<Vec<_>>()});
    let rows: Vec<Value> = rows.iter().map(row).collect();
    Ok(serde_json::to_string(&json!({"weights": heads, "engine": engine, "version": env!("CARGO_PKG_VERSION"), "rows": rows}))? + "\n")
}
