//! `mtcmcn verify`: do two photos show one person?

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use mtcmcn::recognize::Threshold;
use mtcmcn::{Embedding, Face};
use serde_json::json;

use super::recognizer::{FaceReader, RecognizerArgs};
use super::{Outcome, decode, print};

/// Tell whether two photos show the same person
///
/// Of several faces in a photo the one counts that is largest for its distance from the middle. Prints the
/// cosine of the two embeddings and the threshold from which faces count as one person's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 the same person, 1 two persons, 2 bad usage, or a photo that cannot be read or has no face.")]
pub struct VerifyPhotosArgs {
    /// First photo
    #[arg(value_name = "A")]
    first: PathBuf,

    /// Second photo
    #[arg(value_name = "B")]
    second: PathBuf,

    /// Least cosine of one person, from -1 to 1; if not given, the one that was measured for the recogniser
    #[arg(long, value_name = "COSINE", allow_hyphen_values = true, value_parser = cosine)]
    threshold: Option<f64>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    recognizer: RecognizerArgs,
}

fn cosine(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (-1.0..=1.0).contains(&value) { Ok(value) } else { Err("must be between -1 and 1".to_owned()) }
}

/// Compares the photos and prints.
///
/// # Errors
///
/// If a photo cannot be read or has no face, or there is no recogniser or no threshold.
pub fn run(args: &VerifyPhotosArgs) -> Result<Outcome> {
    let mut reader = args.recognizer.open()?;
    let measured = reader.recognizer.input().threshold;
    let least = args.threshold.or(measured.map(|threshold| threshold.cosine));
    let least =
        least.context("no threshold was measured for this recogniser: give --threshold COSINE (`mtcmcn eval verify` measures one)")?;
    let far = measured.filter(|_| args.threshold.is_none()).map(|Threshold { false_accepts, .. }| false_accepts);
    let max_pixels = args.recognizer.detector.max_pixels();
    let (first, one) = face(&mut reader, &args.first, max_pixels)?;
    let (second, other) = face(&mut reader, &args.second, max_pixels)?;
    let cosine = one.similarity(&other);
    let same = cosine >= least;
    let text = if args.json {
        let boxed = |face: &Face| json!([face.bounding_box.x1, face.bounding_box.y1, face.bounding_box.x2, face.bounding_box.y2]);
        let object = json!({
            "same": same, "cosine": cosine, "threshold": least, "false_accepts": far, "boxes": [boxed(&first), boxed(&second)],
        });
        format!("{object}\n")
    } else {
        let verdict = if same { "the same person" } else { "two persons" };
        let rate = far.map_or_else(String::new, |far| format!(", which {far} of the pairs of two persons reached where it was measured"));
        format!("{verdict}: cosine {cosine:.4}, threshold {least:.4}{rate}\n")
    };
    print(text.as_bytes())?;
    Ok(if same { Outcome::Found } else { Outcome::Nothing })
}

fn face(reader: &mut FaceReader, path: &Path, max_pixels: u64) -> Result<(Face, Embedding)> {
    let frame = decode::read(path, max_pixels).with_context(|| path.display().to_string())?;
    let found = reader.main_face(&frame).with_context(|| path.display().to_string())?;
    let Some(found) = found else { bail!("{}: no face was found that can be aligned", path.display()) };
    Ok(found)
}
