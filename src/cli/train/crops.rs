//! Crops of one net: cut with a bar, and with what was wrong in annotations and images.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mtcmcn::Weights;
use mtcmcn::files::write_whole;
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::crops::{self, Earlier, Job, Report, Sample};
use mtcmcn::train::run::End;

use super::args::NetName;
use super::net::Session;
use crate::cli::decode;

/// As `detect` has it by default.
const MAX_PIXELS: u64 = 100_000_000;

/// Faults that are printed; all are in a file.
const MOST_PRINTED: usize = 20;

/// That crops of `net` can be had at all: said before a folder is made for a run.
pub fn check(net: NetName, config: &TrainConfig, weights: Option<&Path>) -> Result<()> {
    let first = "annotated images are needed: name them under [[data.sources]] in a file for --config";
    ensure!(!config.data.sources.is_empty(), "{first} (`mtcmcn train config` shows how), or give --crops");
    let nets = net.before().iter().map(|net| net.name()).collect::<Vec<_>>().join(" and ");
    let found = "crops are what the nets before it find: give weights of";
    ensure!(net.before().is_empty() || weights.is_some(), "{}: {found} {nets} with --weights", net.name());
    Ok(())
}

/// Cuts crops for `net` into `out`, whole or not at all.
pub fn prepare(net: NetName, config: &TrainConfig, weights: Option<&Weights>, out: &Path, session: &Session) -> Result<End> {
    let engine = &session.engine;
    let job = Job {
        net: net.name(),
        config,
        earlier: weights.map(|weights| Earlier { engine, weights }),
        read: &|path| decode::read(path, MAX_PIXELS).map_err(Into::into),
        stop: session.stop,
    };
    let bar = bar(net, session.quiet);
    let report = crops::prepare(&job, out, &mut |progress| {
        bar.set_length(progress.of as u64);
        bar.set_position(progress.images as u64);
        bar.set_message(format!("{} crops", progress.crops));
    });
    bar.finish_and_clear();
    let Some(report) = report? else { return Ok(End::Stopped) };
    tell(net, &report, out, session.quiet)?;
    Ok(End::Finished)
}

fn bar(net: NetName, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} images, {eta} left, {msg}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_prefix(format!("crops for {}", net.name()))
}

/// What there is to learn from, and what was wrong: the first faults here, all of them in a file beside `out`.
fn tell(net: NetName, report: &Report, out: &Path, quiet: bool) -> Result<()> {
    let (faults, path) = (&report.faults, out.with_extension("faults.txt"));
    if faults.is_empty() {
        let _ = fs::remove_file(&path);
    } else {
        let text: String = faults.list().iter().map(|fault| format!("{fault}\n")).collect();
        write_whole(&path, text.as_bytes()).with_context(|| format!("writing {path:?}"))?;
    }
    if quiet {
        return Ok(());
    }
    faults.list().iter().take(MOST_PRINTED).for_each(|fault| eprintln!("{fault}"));
    if faults.list().len() > MOST_PRINTED {
        eprintln!("... all in {}", path.display());
    }
    if !faults.is_empty() {
        eprintln!("{} left out, {} odd but used", faults.skipped(), faults.noted());
    }
    for (part, (images, counts)) in ["to learn from", "for validation"].into_iter().zip(report.images.iter().zip(report.crops)) {
        let kinds: Vec<String> = Sample::ALL.iter().zip(counts).map(|(sample, count)| format!("{count} {}", sample.name())).collect();
        eprintln!("{}: {part} {} crops of {images} images: {}", net.name(), counts.iter().sum::<u64>(), kinds.join(", "));
    }
    if report.truncated > 0 {
        eprintln!("{}: in {} images the nets before saw more than they have room for; the rest is missing", net.name(), report.truncated);
    }
    Ok(())
}
