//! `mtcmcn eval verify`.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use mtcmcn::data::pairs::{self, Pair, PairForm};
use mtcmcn::data::{DataError, Faults};
use mtcmcn::eval::curve::thinned;
use mtcmcn::eval::verify::{Compared, accepts, accuracy, distance, roc};
use mtcmcn::plot::{Axis, LineChart, Series};

use super::embedded::Known;
use super::figures::{Cell, Column, Figures};
use super::source::begins_with;
use super::{Outcome, Output};
use crate::cli::recognizer::RecognizerArgs;

/// Are two images of one person? Ten-fold accuracy, and true accepts at rates of false ones
///
/// Embeds the images itself (--images), or takes embeddings from any network (--embeddings). Each fold is
/// tested with the threshold that is best on the others: of the squared distance, 0 to 4, in steps of 0.01
/// for the accuracy and of 0.001, interpolated, for a rate of false accepts.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Pairs: pairs.txt of LFW, the list of AgeDB-30 or CALFW, or a .bin file of insightface; none for
    /// CACD-VS
    #[arg(value_name = "FILE", required_unless_present = "form")]
    pairs: Option<PathBuf>,

    /// Form of the pairs: lfw, agedb, calfw, cacd-vs or bin. If not given: bin if the file is a pickle, else
    /// lfw
    #[arg(long, value_name = "FORM")]
    form: Option<PairForm>,

    /// Embeddings: numpy's .npz or .npy, or safetensors; one vector an image, by name, or for a .bin file by
    /// number. Any length, scaled to 1. An .npz holds a matrix and names, or an array for each name:
    ///
    ///     import numpy as np
    ///     vectors = {"Ann/Ann_0001": model(image_1), "Bob/Bob_0001": model(image_2)}
    ///     np.savez("e.npz", names=list(vectors), embeddings=np.stack(list(vectors.values())))   # or np.savez("e.npz", **vectors)
    #[arg(long, value_name = "FILE", required_unless_present = "images", help_heading = "Input", verbatim_doc_comment)]
    embeddings: Option<PathBuf>,

    /// Directory that the names of the list are relative to: its images are embedded now, each by the face
    /// that is largest for its distance from the middle. Where none is found, the middle of the picture is
    /// taken, and the image named
    #[arg(long, value_name = "DIR", conflicts_with = "embeddings", help_heading = "Input")]
    images: Option<PathBuf>,

    /// Rates of false accepts
    #[arg(long, value_name = "RATE", value_delimiter = ',', default_values_t = [0.1, 0.01, 0.001], value_parser = rate)]
    far: Vec<f64>,

    #[command(flatten)]
    recognizer: RecognizerArgs,

    #[command(flatten)]
    output: Output,
}

fn rate(text: &str) -> Result<f64, String> {
    let value: f64 = text.trim().parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value < 1.0 { Ok(value) } else { Err("must be over 0 and under 1".to_owned()) }
}

/// Measures and prints.
///
/// # Errors
///
/// If pairs or embeddings cannot be read, no pair is left of them, or results cannot be written.
pub fn run(args: &VerifyArgs, quiet: bool) -> Result<Outcome> {
    args.output.prepare()?;
    let mut faults = args.output.faults();
    let (path, form) = list(args)?;
    let pairs = pairs::read(path, form, &mut faults)?;
    let known = match (&args.embeddings, &args.images) {
        (Some(file), _) => Known::read(file, &mut faults)?,
        (None, Some(folder)) => Known::embed(folder, &pairs, path, &args.recognizer, &mut faults, quiet)?,
        (None, None) => anyhow::bail!("--embeddings or --images is needed"),
    };
    let compared = compare(&pairs, &known, path, &mut faults)?;
    if compared.is_empty() {
        // The reasons are many, and each is worth reading.
        args.output.name(&faults);
        anyhow::bail!("no pair of {} has both its embeddings in {}", path.display(), known.place.display());
    }
    args.output.give(&figures(args, path, &pairs, &compared, &known), &faults)
}

/// The file of pairs, which CACD-VS has not, and its form.
fn list(args: &VerifyArgs) -> Result<(&Path, PairForm)> {
    let form = match (args.form, &args.pairs) {
        (Some(form), _) => form,
        (None, Some(path)) if begins_with(path, &[0x80])? => PairForm::Insightface,
        _ => PairForm::Lfw,
    };
    if form == PairForm::CacdVs {
        ensure!(args.pairs.is_none(), "--form cacd-vs has no file of pairs: their numbers are the list");
        return Ok((Path::new("CACD-VS"), form));
    }
    Ok((args.pairs.as_deref().context("a file of pairs is needed")?, form))
}

/// The distances of all pairs of which both images have an embedding.
fn compare(pairs: &[Pair], known: &Known, list: &Path, faults: &mut Faults) -> Result<Vec<Compared>, DataError> {
    let mut compared = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let found = [0, 1].map(|half| known.embeddings.of(&pair.images[half]));
        let [Some(first), Some(second)] = found else {
            let missing = &pair.images[usize::from(found[0].is_some())];
            faults.of(list).skipped(pair.line, format!("no embedding of {missing:?} in {}: pair skipped", known.place.display()))?;
            continue;
        };
        compared.push(Compared { distance: distance(first, second), same: pair.same, fold: pair.fold });
    }
    Ok(compared)
}

fn figures(args: &VerifyArgs, list: &Path, pairs: &[Pair], compared: &[Compared], known: &Known) -> Figures {
    let accuracy = accuracy(compared);
    let mut rows = vec![("accuracy".to_owned(), vec![Cell::Figure(accuracy.mean), Cell::Figure(accuracy.deviation)])];
    for &far in &args.far {
        let found = accepts(compared, far);
        rows.push((format!("true accepts at a rate of {far} false ones"), vec![Cell::Figure(found.tar), Cell::Figure(found.deviation)]));
    }
    let (curve, area) = roc(compared);
    rows.push(("area under the ROC".to_owned(), vec![Cell::Figure(area), Cell::Figure(f64::NAN)]));
    let thresholds = accuracy.folds.iter().map(|fold| fold.threshold);
    let (low, high) = (thresholds.clone().fold(f64::INFINITY, f64::min), thresholds.fold(0.0, f64::max));
    let mut notes = vec![format!("thresholds of the accuracy, squared distance: {low:.2} to {high:.2}")];
    let others = compared.iter().filter(|pair| !pair.same).count();
    if let Some(far) = args.far.iter().copied().reduce(f64::min).filter(|far| far * (others as f64) < 1.0) {
        notes.push(format!("{others} pairs of two persons cannot tell a rate of {far} false accepts: less than one pair"));
    }
    // A rate of 0 has no place on a logarithmic axis.
    let seen: Vec<[f64; 2]> = curve.into_iter().filter(|point| point[0] > 0.0).collect();
    let origin = format!("{}, {} elements", known.origin, known.embeddings.dimension);
    let chart = LineChart {
        title: "Verification".to_owned(),
        note: origin.clone(),
        x: Axis::new("false accept rate").log(),
        y: Axis::new("true accept rate").range(0.0, 1.0),
        series: vec![Series::new("", thinned(&seen, [0.0005, 0.002]))],
        references: Vec::new(),
    };
    Figures {
        protocol: "verification",
        set: list.display().to_string(),
        origin,
        counts: [("pairs", pairs.len()), ("compared", compared.len()), ("folds", accuracy.folds.len())]
            .into_iter()
            .chain(known.counts())
            .collect(),
        notes,
        columns: vec![Column::new("mean", "mean"), Column::new("deviation", "deviation")],
        rows,
        charts: vec![("roc", chart)],
        ..Figures::default()
    }
}
