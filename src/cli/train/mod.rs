//! `mtcmcn train`: settings, crops, runs, curves and experiments.

mod all;
mod args;
mod crops;
mod experiment;
mod job;
mod net;
mod plot;
mod session;
mod stop;
pub mod table1;
mod watch;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use mtcmcn::Weights;
use mtcmcn::train::config::{DEFAULTS, TrainConfig};
use mtcmcn::train::run::End;

use args::{Experiment, ExperimentArgs, NetArgs, NetName, PrepareArgs, SettingsArgs, What, absolute, with_device};
use job::{Job, TrainCommand};
use net::NetRun;
use session::TrainSession;

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
        What::All(args) => {
            let config = args.settings.load()?;
            crops::check(NetName::Pnet, &config, None)?;
            begin(&Job::new(TrainCommand::All), &args.out, &config, quiet)
        }
        What::Experiment(Experiment::Mining(args)) => begin_experiment(TrainCommand::Mining, args, quiet),
        What::Experiment(Experiment::Landmarks(args)) => begin_experiment(TrainCommand::Landmarks, args, quiet),
        What::Experiment(Experiment::Table1(args)) => begin_experiment(TrainCommand::Table1, args, quiet),
        What::Resume(args) => {
            let (job, config) = Job::read(&args.folder, &with_device(&args.set, args.device.as_deref()))?;
            go(&job, &args.folder, &config, &TrainSession::open(&config, quiet)?)
        }
    }
}

fn config(args: &SettingsArgs) -> Result<()> {
    let changed = args.config.is_some() || !args.set.is_empty() || args.device.is_some();
    if changed { print(&args.load()?.to_toml()) } else { print(DEFAULTS) }
}

fn prepare(args: &PrepareArgs, quiet: bool) -> Result<ExitCode> {
    let config = args.settings.load()?;
    crops::check(args.net, &config, args.weights.as_deref())?;
    let weights = args.weights.as_deref().map(Weights::load).transpose()?;
    let session = TrainSession::open(&config, quiet)?;
    let Some(config) = crops::labelled(&config, &args.out.with_extension("labels"), &session)? else { return Ok(code(End::Stopped)) };
    let end = crops::prepare(args.net, &config, weights.as_ref(), &args.out, &session)?;
    if end == End::Finished {
        print(&format!("{}\n", args.out.display()))?;
    }
    Ok(code(end))
}

fn begin_net(net: NetName, args: &NetArgs, quiet: bool) -> Result<ExitCode> {
    let config = args.settings.load()?;
    if args.crops.is_none() {
        crops::check(net, &config, args.weights.as_deref())?;
    }
    let job = Job { crops: absolute(args.crops.as_deref())?, weights: absolute(args.weights.as_deref())?, ..Job::new(net) };
    begin(&job, &args.out, &config, quiet)
}

fn begin_experiment(command: TrainCommand, args: &ExperimentArgs, quiet: bool) -> Result<ExitCode> {
    let (crops, weights) = (absolute(Some(&args.crops))?, absolute(args.weights.as_deref())?);
    let job = Job { crops, weights, seeds: Some(args.seeds), ..Job::new(command) };
    begin(&job, &args.out, &args.settings.load()?, quiet)
}

fn begin(job: &Job, folder: &Path, config: &TrainConfig, quiet: bool) -> Result<ExitCode> {
    let session = TrainSession::open(config, quiet)?;
    job.begin(folder, config)?;
    go(job, folder, config, &session)
}

/// Trains until the end, or until told to stop.
fn go(job: &Job, folder: &Path, config: &TrainConfig, session: &TrainSession) -> Result<ExitCode> {
    let single = |net: NetName| {
        let (crops, others) = (job.crops.as_deref(), job.weights.as_deref());
        session.train(&NetRun { net, folder, title: net.name().into(), config, crops, others })
    };
    let end = match job.command {
        TrainCommand::Pnet => single(NetName::Pnet),
        TrainCommand::Rnet => single(NetName::Rnet),
        TrainCommand::Onet => single(NetName::Onet),
        TrainCommand::All => all::run(session, folder, config),
        TrainCommand::Mining => experiment::run(&experiment::MINING, session, job, folder, config, |_| job.crops.clone()),
        TrainCommand::Landmarks => experiment::run(&experiment::LANDMARKS, session, job, folder, config, |_| job.crops.clone()),
        TrainCommand::Table1 => table1::run(session, job, folder, config),
    }?;
    match end {
        End::Finished if matches!(job.command, TrainCommand::Mining | TrainCommand::Landmarks | TrainCommand::Table1) => {}
        End::Finished => print(&format!("{}\n", folder.join("weights.safetensors").display()))?,
        End::Stopped if !session.quiet => eprintln!("stopped and saved; `mtcmcn train resume {}` goes on", folder.display()),
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
