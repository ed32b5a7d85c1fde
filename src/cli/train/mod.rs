//! `mtcmcn train`: settings, crops, runs, curves and experiments.

mod all;
mod args;
mod crops;
mod experiment;
mod job;
mod net;
mod plot;
mod stop;
mod watch;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use mtcmcn::Weights;
use mtcmcn::train::config::{DEFAULTS, TrainConfig};
use mtcmcn::train::run::End;

use args::{Experiment, ExperimentArgs, NetArgs, NetName, PrepareArgs, SettingsArgs, What};
use job::{Command, Job, absolute};
use net::{Net, Session};

pub use args::TrainArgs;

/// Does what `args` say.
///
/// # Errors
///
/// What stopped it; of a run the last good checkpoint is kept.
pub fn run(args: &TrainArgs, quiet: bool) -> Result<ExitCode> {
    match &args.what {
        What::Config(args) => config(args).map(|()| ExitCode::SUCCESS),
        What::Plot(args) => {
            let [svg, png] = plot::run(args)?;
            print(&format!("{}\n{}\n", svg.display(), png.display())).map(|()| ExitCode::SUCCESS)
        }
        What::Prepare(args) => prepare(args, quiet),
        What::Pnet(args) => begin_net(NetName::Pnet, args, quiet),
        What::Rnet(args) => begin_net(NetName::Rnet, args, quiet),
        What::Onet(args) => begin_net(NetName::Onet, args, quiet),
        What::All(args) => begin(&Job::new(Command::All), &args.out, &args.settings.load()?, quiet),
        What::Experiment(Experiment::Mining(args)) => begin_experiment(Command::Mining, args, quiet),
        What::Experiment(Experiment::Landmarks(args)) => begin_experiment(Command::Landmarks, args, quiet),
        What::Resume(args) => {
            let (job, config) = Job::read(&args.folder, &args.set)?;
            go(&job, &args.folder, &config, quiet)
        }
    }
}

fn config(args: &SettingsArgs) -> Result<()> {
    if args.config.is_none() && args.set.is_empty() { print(DEFAULTS) } else { print(&args.load()?.to_toml()) }
}

fn prepare(args: &PrepareArgs, quiet: bool) -> Result<ExitCode> {
    let config = args.settings.load()?;
    let session = Session { stop: stop::on_interrupt(quiet)?, quiet };
    let weights = args.weights.as_deref().map(Weights::load).transpose()?;
    let engine = net::engine(&config)?;
    crops::prepare(args.net, &config, &engine, weights.as_ref(), &args.out, &session).map(code)
}

fn begin_net(net: NetName, args: &NetArgs, quiet: bool) -> Result<ExitCode> {
    let job = Job { crops: absolute(&args.crops)?, weights: absolute(&args.weights)?, ..Job::new(net) };
    begin(&job, &args.out, &args.settings.load()?, quiet)
}

fn begin_experiment(command: Command, args: &ExperimentArgs, quiet: bool) -> Result<ExitCode> {
    let crops = absolute(&Some(args.crops.clone()))?;
    let job = Job { crops, weights: absolute(&args.weights)?, seeds: Some(args.seeds), ..Job::new(command) };
    begin(&job, &args.out, &args.settings.load()?, quiet)
}

fn begin(job: &Job, folder: &Path, config: &TrainConfig, quiet: bool) -> Result<ExitCode> {
    job.begin(folder, config)?;
    go(job, folder, config, quiet)
}

/// Trains until the end, or until told to stop.
fn go(job: &Job, folder: &Path, config: &TrainConfig, quiet: bool) -> Result<ExitCode> {
    let session = Session { stop: stop::on_interrupt(quiet)?, quiet };
    let single = |net: NetName| {
        let (crops, others) = (job.crops.as_deref(), job.weights.as_deref());
        session.train(&Net { net, folder, title: net.name().into(), config, crops, others })
    };
    let end = match job.command {
        Command::Pnet => single(NetName::Pnet),
        Command::Rnet => single(NetName::Rnet),
        Command::Onet => single(NetName::Onet),
        Command::All => all::run(&session, folder, config),
        Command::Mining | Command::Landmarks => experiment::run(&session, job, folder, config),
    }?;
    match end {
        End::Finished if matches!(job.command, Command::Mining | Command::Landmarks) => {}
        End::Finished => print(&format!("{}\n", folder.join("weights.safetensors").display()))?,
        End::Stopped if !quiet => eprintln!("stopped and saved; `mtcmcn train resume {}` goes on", folder.display()),
        End::Stopped => {}
    }
    Ok(code(end))
}

fn code(end: End) -> ExitCode {
    match end {
        End::Finished => ExitCode::SUCCESS,
        End::Stopped => ExitCode::from(1),
    }
}

fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("writing to standard output")
}
