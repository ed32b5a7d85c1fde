//! Crops of one net: cut with a bar, and with what was wrong in annotations and images.

use std::fs;
use std::io::{self, IsTerminal as _};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use indicatif::{ProgressBar, ProgressStyle};
use mtcmcn::Weights;
use mtcmcn::data::Faults;
use mtcmcn::files::write_whole;
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::crops::{self, CropJob, CropProgress, CropReport, Earlier, SampleKind};
use mtcmcn::train::run::End;

use super::args::NetName;
use super::session::TrainSession;
use super::watch::Now;
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
pub fn prepare(net: NetName, config: &TrainConfig, weights: Option<&Weights>, out: &Path, session: &TrainSession) -> Result<End> {
    let (engine, teacher) = (&session.engine, teacher(config)?);
    let start = config.pnet.start.as_deref().map(Weights::load).transpose()?;
    let job = CropJob {
        net: net.name(),
        config,
        earlier: if net == NetName::Pnet { start.as_ref() } else { weights }.map(|weights| Earlier { engine, weights }),
        teacher: teacher.as_ref().map(|weights| Earlier { engine, weights }),
        read: &|path| decode::read(path, MAX_PIXELS).map_err(Into::into),
        stop: session.stop,
    };
    let title = format!("crops for {}", net.name());
    let (bar, mut said) = (bar(&title, session.quiet), Now::and_then(session.quiet));
    let report = crops::prepare(&job, out, &mut |progress| {
        show(&bar, progress);
        bar.set_message(format!("{} crops", progress.crops));
        said.say(|| format!("{title}: {} of {} images, {} crops", progress.images, progress.of, progress.crops));
    });
    bar.finish_and_clear();
    let Some(report) = report? else { return Ok(End::Stopped) };
    tell(net, &report, out, session.quiet)?;
    Ok(End::Finished)
}

/// `config` with labels by its teacher as sources, made in `folder` or there already; as it is without a
/// teacher, `None` if told to stop.
pub fn labelled(config: &TrainConfig, folder: &Path, session: &TrainSession) -> Result<Option<TrainConfig>> {
    let Some(teacher) = teacher(config)?.filter(|_| config.teacher.labels) else { return Ok(Some(config.clone())) };
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {folder:?}"))?;
    let job = CropJob {
        net: "",
        config,
        earlier: None,
        teacher: Some(Earlier { engine: &session.engine, weights: &teacher }),
        read: &|path| decode::read(path, MAX_PIXELS).map_err(Into::into),
        stop: session.stop,
    };
    let mut faults = if config.data.strict { Faults::strict() } else { Faults::lenient() };
    let (bar, mut said) = (bar("labels by the teacher", session.quiet), Now::and_then(session.quiet));
    let labelled = crops::label(&job, folder, &mut faults, &mut |progress| {
        show(&bar, progress);
        said.say(|| format!("labels by the teacher: {} of {} images", progress.images, progress.of));
    });
    bar.finish_and_clear();
    let labelled = labelled?;
    tell_faults(&faults, &folder.join("faults.txt"), session.quiet)?;
    Ok(labelled)
}

fn teacher(config: &TrainConfig) -> Result<Option<Weights>> {
    let load = |path| Weights::load(path).with_context(|| format!("the teacher's weights, teacher.weights = {path:?}"));
    config.teacher.weights.as_deref().map(load).transpose()
}

fn show(bar: &ProgressBar, progress: CropProgress) {
    bar.set_length(progress.of as u64);
    bar.set_position(progress.images as u64);
}

fn bar(prefix: &str, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} images, {eta} left, {msg}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_prefix(prefix.to_owned())
}

/// What was wrong: the first faults here, all of them in a file at `path`.
fn tell_faults(faults: &Faults, path: &Path, quiet: bool) -> Result<()> {
    if faults.is_empty() {
        let _ = fs::remove_file(path);
    } else {
        let text: String = faults.list().iter().map(|fault| format!("{fault}\n")).collect();
        write_whole(path, text.as_bytes()).with_context(|| format!("writing {path:?}"))?;
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
    Ok(())
}

/// What there is to learn from, and what was wrong, beside `out`.
fn tell(net: NetName, report: &CropReport, out: &Path, quiet: bool) -> Result<()> {
    tell_faults(&report.faults, &out.with_extension("faults.txt"), quiet)?;
    if quiet {
        return Ok(());
    }
    for (part, (images, counts)) in ["to learn from", "for validation"].into_iter().zip(report.images.iter().zip(report.crops)) {
        let kinds: Vec<String> = SampleKind::ALL.iter().zip(counts).map(|(sample, count)| format!("{count} {}", sample.name())).collect();
        eprintln!("{}: {part} {} crops of {images} images: {}", net.name(), counts.iter().sum::<u64>(), kinds.join(", "));
    }
    if report.truncated > 0 {
        eprintln!("{}: in {} images the nets before saw more than they have room for; the rest is missing", net.name(), report.truncated);
    }
    Ok(())
}
