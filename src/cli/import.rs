//! `mtcmcn import`: published weights in, our safetensors file out.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use mtcmcn::eval::matching::iou;
use mtcmcn::nets::onnx;
use mtcmcn::picture::decode::Reading;
use mtcmcn::recognize::{self, ColourOrder, FaceInput};
use mtcmcn::weights::import::{ORDERS, import_in_order};
use mtcmcn::weights::names::{CascadeNet, LAYERS};
use mtcmcn::{Config, Detector, Engine, Face, Recognizer, Weights, files};
use sha2::{Digest as _, Sha256};

use super::{decode, fetch};

/// Convert published weights to the safetensors file that `--weights` or `--recognizer` takes, or make one to
/// pass on of what was trained
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Torch, Caffe or numpy files of the three nets, a wheel that holds them, or a directory of them; or
    /// `published`: the weights of the Python package facenet-pytorch 2.6.0 (MIT), downloaded from PyPI once
    /// and checked; or `weights.safetensors` files of ours, of which the detector's tensors are kept, without
    /// the settings and paths of its training: of a net that several have, those of the last; or an ONNX
    /// model of a face recogniser
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// File to write; an old one is replaced
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Something to be known about the weights, kept in the file; `thresholds=P,R,O` are those that they are
    /// to be used with. May be given again
    #[arg(long, value_name = "KEY=VALUE", value_parser = note)]
    pub note: Vec<(String, String)>,
    /// Added to the logit of a face of each net, and noted: with more of it, more boxes pass the same
    /// threshold. What a net learned as probability depends on how many faces it was shown
    #[arg(long, value_name = "P,R,O", allow_hyphen_values = true, value_parser = biases)]
    pub face_bias: Option<[f32; 3]>,
    /// Write weights of others also if they find no face in the portrait that mtcmcn has with it
    #[arg(long)]
    pub unchecked: bool,
    #[command(flatten)]
    pub shown: ShownArgs,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// How an ONNX model is shown a face, where its file is not known.
#[derive(Debug, Args)]
pub struct ShownArgs {
    /// Order of a recogniser's colours, rgb or bgr
    #[arg(long, value_name = "ORDER", value_parser = colours, help_heading = "Recognisers")]
    colours: Option<ColourOrder>,
    /// What is subtracted from a recogniser's colours, which go from 0 to 1; one number, or one for each
    #[arg(long, value_name = "R,G,B", allow_hyphen_values = true, value_parser = three, help_heading = "Recognisers")]
    mean: Option<[f32; 3]>,
    /// What they are divided by then
    #[arg(long, value_name = "R,G,B", value_parser = deviations, help_heading = "Recognisers")]
    deviation: Option<[f32; 3]>,
}

/// What stands for the weights that [`fetch::published`] gets.
const PUBLISHED: &str = "published";

/// Imports, writes, and prints what was written.
///
/// # Errors
///
/// If a source cannot be used or the file cannot be written; nothing is written then.
pub fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let names: Vec<_> = args.sources.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
    let weights = match &args.sources[..] {
        [source] if source.as_os_str() == PUBLISHED && !source.exists() => fetch::published()?,
        sources if sources.iter().all(|source| is_ours(source)) => bare(&joined(sources)?)?,
        [source] if is_onnx(source)? => recognizer(source, &args.shown)?.with_metadata("source", &names.join(", ")),
        sources => checked(sources, args.unchecked)?.with_metadata("source", &names.join(", ")),
    };
    let weights = args.face_bias.map_or_else(|| Ok(weights.clone()), |biases| biased(&weights, biases))?;
    let weights = args.note.iter().fold(weights, |weights, (key, value)| weights.with_metadata(key, value));
    ensure!(
        weights.thresholds().is_some() || !weights.metadata().contains_key("thresholds"),
        "--note thresholds= needs three numbers between 0 and 1, as in 0.6,0.7,0.7"
    );
    weights.save(&args.out)?;
    let bytes = fs::read(&args.out).with_context(|| format!("cannot read back {:?}", args.out))?;
    let sha256 = files::hex(&Sha256::digest(&bytes));
    let text = if args.json {
        format!("{}\n", summary(&weights, &args.out, bytes.len(), &sha256))
    } else {
        table(&weights, &args.out, bytes.len(), &sha256)
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// Most bytes of an ONNX model: what one message of its format can hold.
const MAX_ONNX: u64 = 2 << 30;

/// Whether `source` is an ONNX model: by its extension, so that a damaged one is told as such, or by content.
fn is_onnx(source: &Path) -> anyhow::Result<bool> {
    let named = source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    Ok(named || source.is_file() && onnx::is(&files::read(source, MAX_ONNX)?))
}

/// The recogniser in the ONNX model `source`, which is shown a face as `shown` says, or as is known of the
/// file.
fn recognizer(source: &Path, shown: &ShownArgs) -> anyhow::Result<Weights> {
    let bytes = files::read(source, MAX_ONNX)?;
    let sha256 = files::hex(&Sha256::digest(&bytes));
    let known = recognize::known(&sha256);
    let input = match (known, shown) {
        (_, &ShownArgs { colours: Some(colours), mean: Some(mean), deviation: Some(deviation) }) => {
            FaceInput { colours, mean, deviation, threshold: None }
        }
        (Some(known), ShownArgs { colours: None, mean: None, deviation: None }) => known.input,
        _ => bail!(
            "{}: how this recogniser is shown a face is not known: give --colours, --mean and --deviation, which for most are \
             `--colours rgb --mean 0.5 --deviation 0.5`",
            source.display()
        ),
    };
    let model = onnx::read(&bytes, source.parent()).with_context(|| source.display().to_string())?;
    let mut weights = model.write()?.with_metadata("format", "onnx").with_metadata("source_sha256", &sha256);
    weights = weights.with_metadata(FaceInput::KEY, &serde_json::to_string(&input)?);
    if let Some(known) = known {
        weights = weights.with_metadata("origin", known.source).with_metadata("license", known.license);
    }
    let frame = decode::picture(PORTRAIT, &Reading::first(1 << 20))?.frames.swap_remove(0);
    let face = portrait(&Weights::builtin())?.context("our own weights find a face in the portrait")?;
    let mut recognizer = Recognizer::new(Engine::cpu(), weights.clone())?;
    recognizer.embed(&frame, &[face]).context("with these weights the portrait that mtcmcn has with it gives no embedding")?;
    Ok(weights)
}

/// The head of `assets/astronaut.png`: one face.
const PORTRAIT: &[u8] = include_bytes!("../../assets/portrait.png");

/// Weights of others, in the order of elements in which the cascade finds the face in a portrait: names and
/// shapes do not tell it.
fn checked(sources: &[PathBuf], unchecked: bool) -> anyhow::Result<Weights> {
    let published = import_in_order(sources, 0)?;
    let truth = portrait(&Weights::builtin())?.context("our own weights find a face in the portrait")?;
    let mut best: Option<(f32, usize, Weights)> = None;
    for order in 0..ORDERS {
        let weights = if order == 0 { published.clone() } else { import_in_order(sources, order)? };
        // What overflows finds nothing either.
        if let Ok(Some(face)) = portrait(&weights)
            && let Some(error) = difference(&face, &truth)
            && best.as_ref().is_none_or(|(least, ..)| error < *least)
        {
            best = Some((error, order, weights));
        }
    }
    match best {
        Some((_, 0, weights)) => Ok(weights),
        Some((_, _, weights)) => {
            tracing::warn!("elements are in another order than in the files that were published first: put right, as the portrait shows");
            Ok(weights.with_metadata("order", "put right by a portrait"))
        }
        None if unchecked => {
            tracing::warn!(
                "with these weights no face is found in the portrait, whatever the order of their elements; written all the same"
            );
            Ok(published)
        }
        None => bail!(
            "with these weights no face is found in the portrait that mtcmcn has with it, whatever the order of their elements: they are of other \
             nets or made for other input; --unchecked writes them all the same"
        ),
    }
}

/// The surest face that `weights` find in the portrait.
fn portrait(weights: &Weights) -> anyhow::Result<Option<Face>> {
    let frame = decode::picture(PORTRAIT, &Reading::first(1 << 20))?.frames.swap_remove(0);
    let mut detector = Detector::new(Engine::cpu(), weights, Config::default())?;
    Ok(detector.detect(&frame)?.faces.first().copied())
}

/// Mean distance of the landmarks of two faces over the distance of the eyes; `None` if they are not the same
/// face.
fn difference(face: &Face, truth: &Face) -> Option<f32> {
    let eyes = truth.landmarks[0].distance(truth.landmarks[1]);
    let error = face.landmarks.iter().zip(truth.landmarks).map(|(a, b)| a.distance(b)).sum::<f32>() / (5.0 * eyes);
    (iou(&face.bounding_box, &truth.bounding_box, 0.0) >= 0.4 && error < 0.3).then_some(error)
}

/// A key and its value.
fn note(text: &str) -> Result<(String, String), &'static str> {
    let (key, value) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("a key and its value are needed")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Whether the file at `path` is a safetensors file, by its extension: everything else is told by its
/// contents.
fn is_ours(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("safetensors"))
}

fn colours(text: &str) -> Result<ColourOrder, &'static str> {
    match text.to_ascii_lowercase().as_str() {
        "rgb" => Ok(ColourOrder::Rgb),
        "bgr" => Ok(ColourOrder::Bgr),
        _ => Err("rgb or bgr is needed"),
    }
}

/// Three finite numbers, or one for all.
fn three(text: &str) -> Result<[f32; 3], &'static str> {
    match text.trim().parse() {
        Ok(number) if f32::is_finite(number) => Ok([number; 3]),
        _ => biases(text).map_err(|_| "one number or three are needed, as in 0.5 or 0.485,0.456,0.406"),
    }
}

/// Three numbers that can be divided by, or one for all.
fn deviations(text: &str) -> Result<[f32; 3], &'static str> {
    three(text).and_then(|numbers| if numbers.iter().all(|number| *number > 0.0) { Ok(numbers) } else { Err("must be over 0") })
}

/// Three finite numbers.
fn biases(text: &str) -> Result<[f32; 3], &'static str> {
    let numbers: Option<Vec<f32>> =
        text.split(',').map(|number| number.trim().parse().ok().filter(|number: &f32| number.is_finite())).collect();
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or("three numbers are needed, as in 0.5,1,0")
}

/// `weights` with `biases` of the three nets added to the logit of a face.
fn biased(weights: &Weights, biases: [f32; 3]) -> anyhow::Result<Weights> {
    let (mut tensors, mut metadata) = (weights.tensors().clone(), weights.metadata().clone());
    for (net, bias) in CascadeNet::ALL.iter().zip(biases) {
        // Background's logit is the first of the two.
        let logit = tensors.get_mut(&format!("{}.class.bias", net.name())).and_then(|tensor| tensor.data.get_mut(1));
        *logit.with_context(|| format!("{} has no bias of a class", net.name()))? += bias;
    }
    let [p, r, o] = biases;
    metadata.insert("face_bias".to_owned(), format!("{p},{r},{o}"));
    Ok(Weights::new(tensors, metadata)?)
}

/// The tensors of all the files at `paths`, a later one's in place of an earlier one's.
fn joined(paths: &[PathBuf]) -> anyhow::Result<Weights> {
    paths.iter().try_fold(Weights::default(), |sum, path| Ok(sum.joined(Weights::load(path)?)))
}

/// What a detector needs of `weights`, without anything that is known about them.
fn bare(weights: &Weights) -> anyhow::Result<Weights> {
    weights.check()?;
    let needed = |name: &str| LAYERS.iter().any(|layer| layer.parts().iter().any(|&part| layer.tensor(part) == name));
    let kept = weights.tensors().iter().filter(|(name, _)| needed(name));
    let kept = kept.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    Ok(Weights::new(kept, [("format".to_owned(), "mtcmcn".to_owned())].into())?)
}

fn parameters(weights: &Weights) -> usize {
    weights.tensors().values().map(|tensor| tensor.data.len()).sum()
}

fn table(weights: &Weights, out: &Path, bytes: usize, sha256: &str) -> String {
    let rows: String = weights.tensors().iter().map(|(name, tensor)| format!("{name:24} {:?}\n", tensor.shape)).collect();
    let (count, format) = (weights.tensors().len(), weights.metadata().get("format").map_or("unknown", String::as_str));
    let parameters = parameters(weights);
    let digest = fetch::digest(weights);
    format!(
        "{rows}{count} tensors, {parameters} parameters, from {format}\nweights {digest}: the sha256 over all tensors, by which `eval` and the README \
         name them\n{}: {bytes} bytes, sha256 {sha256}\n",
        out.display()
    )
}

fn summary(weights: &Weights, out: &Path, bytes: usize, sha256: &str) -> serde_json::Value {
    let tensors: Vec<_> =
        weights.tensors().iter().map(|(name, tensor)| serde_json::json!({ "name": name, "shape": tensor.shape })).collect();
    serde_json::json!({
        "out": out.to_string_lossy(),
        "bytes": bytes,
        "sha256": sha256,
        "weights": fetch::digest(weights),
        "parameters": parameters(weights),
        "metadata": weights.metadata(),
        "tensors": tensors,
    })
}
