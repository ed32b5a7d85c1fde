//! The command line: one file or folder per subcommand, and what they share.
//!
//! Results go to stdout, everything else to stderr. A reader that closes stdout early (`| head -1`) has had
//! what it wanted, so that is success. Exit codes are those of [`Outcome`].

mod bench;
mod detect;
mod doctor;
mod draw;
mod embed;
mod eval;
mod fetch;
mod import;
mod input;
mod prefetch;
mod recognizer;
mod settings;
pub mod signals;
mod train;
mod verify;

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{ArgAction, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use indicatif::{ProgressBar, ProgressStyle};
use mtcmcn::picture::{align, decode};
use tracing_subscriber::EnvFilter;

/// Face detection and alignment on any GPU, or natively on the CPU
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say more on stderr; twice or three times for still more
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,

    /// Say nothing on stderr but errors, and show no progress bar
    #[arg(short, long, global = true)]
    quiet: bool,
}

const EXIT_CODES: &str = "Exit codes: 0 found, 1 nothing found, 2 bad usage or something could not be read or written.\n\
    MTCMCN_LOG sets what is logged in detail, for example MTCMCN_LOG=mtcmcn=debug,wgpu_core=info.";

#[derive(Debug, Subcommand)]
enum Command {
    Detect(detect::DetectArgs),
    Embed(embed::EmbedArgs),
    Verify(verify::VerifyPhotosArgs),
    Bench(bench::BenchArgs),
    /// Check every GPU and driver on this machine, kernel by kernel
    Doctor(doctor::DoctorArgs),
    Eval(eval::EvalArgs),
    /// Convert published weights to the safetensors file that --weights takes
    Import(import::ImportArgs),
    Train(train::TrainArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the manual page, or write one page per subcommand
    Man {
        /// Directory for the pages; made if it does not exist
        dir: Option<PathBuf>,
    },
}

/// How a subcommand ended when nothing stopped it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Something was found: exit code 0.
    Found,
    /// All was searched, nothing was found: exit code 1.
    Nothing,
    /// Part of the work could not be done, the rest was: exit code 2.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Found => 0,
            Outcome::Nothing => 1,
            Outcome::Failed => 2,
        })
    }
}

/// Runs the subcommand and tells the exit code.
///
/// # Errors
///
/// What stopped it; the text of the chain is for the user.
pub fn run(cli: &Cli) -> Result<ExitCode> {
    log_to_stderr(cli.verbose, cli.quiet)?;
    check_environment()?;
    // Training saves before it ends, and sees to signals itself.
    if !matches!(cli.command, Command::Train(_)) {
        signals::clean_up_at_the_end()?;
    }
    match &cli.command {
        Command::Detect(args) => detect::run(args, cli.quiet).map(Into::into),
        Command::Embed(args) => embed::run(args, cli.quiet).map(Into::into),
        Command::Verify(args) => verify::run(args).map(Into::into),
        Command::Bench(args) => bench::run(args).map(Into::into),
        Command::Doctor(args) => doctor::run(args),
        Command::Eval(args) => eval::run(args, cli.quiet).map(Into::into),
        Command::Import(args) => import::run(args),
        Command::Train(args) => train::run(args, cli.quiet),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "mtcmcn", &mut script);
            print(&script)
        }
        Command::Man { dir: None } => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command().disable_help_subcommand(true)).render(&mut page)?;
            print(&page)
        }
        Command::Man { dir: Some(dir) } => {
            std::fs::create_dir_all(dir)
                .and_then(|()| clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), dir))
                .with_context(|| format!("writing manual pages to {}", dir.display()))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Whether `error` is only the reader of a pipe having gone away.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe))
}

/// `error` and its causes on one line, without the causes whose text an error above has in its own already,
/// as some crates do.
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
        if !text.contains(&cause) {
            text += if text.is_empty() { "" } else { ": " };
            text += &cause;
        }
    }
    text
}

/// That what is asked for in the environment can be had.
fn check_environment() -> Result<()> {
    const SETS: [&str; 3] = ["portable", "avx2", "avx512"];
    match std::env::var("MTCMCN_SIMD") {
        Ok(wanted) if !wanted.is_empty() && !SETS.contains(&&*wanted) => {
            anyhow::bail!("MTCMCN_SIMD={wanted:?} is none of {}", SETS.join(", "))
        }
        _ => Ok(()),
    }
}

fn print(bytes: &[u8]) -> Result<ExitCode> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).context("writing to standard output")?;
    Ok(ExitCode::SUCCESS)
}

/// A bar on stderr if someone is there to see it and there is something to wait for.
pub fn progress(inputs: usize, quiet: bool) -> ProgressBar {
    if quiet || inputs < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} images, {eta} left");
    ProgressBar::new(inputs as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Logs to stderr: our own events by `-v` and `-q`, other crates' (wgpu talks a lot) only from warnings up;
/// `MTCMCN_LOG` overrides.
fn log_to_stderr(verbose: u8, quiet: bool) -> Result<()> {
    let own = match (quiet, verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        (_, 2) => "debug",
        _ => "trace",
    };
    let others = if quiet { "error" } else { "warn" };
    let filter = match std::env::var("MTCMCN_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(directives).context("MTCMCN_LOG")?,
        _ => EnvFilter::new(format!("{others},mtcmcn={own}")),
    };
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(io::stderr().is_terminal()).without_time().init();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_explanation_says_nothing_twice() {
        let root = anyhow::anyhow!("no space\n left\n");
        assert_eq!(explain(&root.context("disk: no space left").context("writing x.png")), "writing x.png: disk: no space left");
    }

    #[test]
    fn a_broken_pipe_is_seen_through_its_context() {
        let error = anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing to standard output");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::Error::from(io::Error::from(io::ErrorKind::StorageFull))));
    }
}
