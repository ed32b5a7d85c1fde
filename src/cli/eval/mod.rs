//! `mtcmcn eval`: the figures that papers quote, for our own detections or anyone's.

mod aflw;
mod boxes;
mod embedded;
mod fddb;
mod figures;
mod html;
mod keep;
mod picture;
mod report;
mod setting;
mod source;
mod table;
mod verify;
mod wider;
mod worst;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use mtcmcn::data::Faults;

use super::{Outcome, print};
use figures::Figures;

/// Measure how well faces are found, by the protocols of the field
///
/// Searches the annotated images itself (--images), or scores detections from a file (--detections): what
/// `mtcmcn detect --json` prints, the protocol's own files, or another program's in either form. Every figure
/// is printed with the setting, the weights' hash and the engine.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 measured, 2 bad usage, or something could not be read and is named; the rest is measured all the same."
)]
pub struct EvalArgs {
    #[command(subcommand)]
    command: EvalCommand,
}

#[derive(Debug, Subcommand)]
enum EvalCommand {
    Fddb(fddb::FddbArgs),
    Wider(wider::WiderArgs),
    Aflw(aflw::AflwArgs),
    Boxes(boxes::BoxesArgs),
    Verify(verify::VerifyArgs),
    Table(table::TableArgs),
}

/// Where results go.
#[derive(Debug, Args)]
struct Output {
    /// Print one JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,

    /// Write the curves to this directory, each as SVG and PNG
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    plot: Option<PathBuf>,

    /// Write a page to this directory (index.html, everything in it) with the figures, the curves, and the
    /// worst misses and false alarms drawn
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    report: Option<PathBuf>,

    /// Misses and false alarms shown in the report, each
    #[arg(long, value_name = "N", default_value_t = 24, help_heading = "Output")]
    examples: usize,

    /// Stop at the first fault of a file instead of naming it and going on without what is faulty
    #[arg(long, help_heading = "Input")]
    strict: bool,
}

impl Output {
    fn faults(&self) -> Faults {
        if self.strict { Faults::strict() } else { Faults::lenient() }
    }

    /// Makes the directories: better to learn before an hour's work than after that a disk is read-only.
    fn prepare(&self) -> Result<()> {
        for (flag, directory) in [("--plot", &self.plot), ("--report", &self.report)] {
            let Some(directory) = directory else { continue };
            std::fs::create_dir_all(directory).with_context(|| format!("{flag}: making the directory {}", directory.display()))?;
        }
        Ok(())
    }

    /// Names every fault on stderr.
    fn name(&self, faults: &Faults) {
        for fault in faults.list() {
            if fault.skipped {
                tracing::error!("{fault}");
            } else {
                tracing::warn!("{fault}");
            }
        }
        let more = faults.skipped() + faults.noted() - faults.list().len();
        if more > 0 {
            tracing::error!("{more} more faults are not named");
        }
    }

    /// That there are `images` annotated in `list`; if not, what is wrong with it is named.
    fn ensure_some(&self, images: usize, list: &Path, faults: &Faults) -> Result<()> {
        if images == 0 {
            self.name(faults);
            anyhow::bail!("{} names no image that could be used", list.display());
        }
        Ok(())
    }

    /// Prints and writes `figures`, and names every fault.
    fn give(&self, figures: &Figures, faults: &Faults) -> Result<Outcome> {
        self.name(faults);
        if let Some(directory) = &self.plot {
            figures.plot(directory)?;
        }
        if let Some(directory) = &self.report {
            report::write(directory, figures, faults)?;
        }
        print(if self.json { figures.json(faults)? } else { figures.text() }.as_bytes())?;
        Ok(if faults.skipped() > 0 { Outcome::Failed } else { Outcome::Found })
    }
}

/// Measures what `args` ask for.
///
/// # Errors
///
/// If something that is needed cannot be read, or something cannot be written.
pub fn run(args: &EvalArgs, quiet: bool) -> Result<Outcome> {
    match &args.command {
        EvalCommand::Fddb(args) => fddb::run(args, quiet),
        EvalCommand::Wider(args) => wider::run(args, quiet),
        EvalCommand::Aflw(args) => aflw::run(args, quiet),
        EvalCommand::Boxes(args) => boxes::run(args, quiet),
        EvalCommand::Verify(args) => verify::run(args, quiet),
        EvalCommand::Table(args) => table::run(args, quiet),
    }
}
