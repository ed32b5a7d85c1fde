//! One net: its crops, its engine, its run.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::learner::NetLearner;
use mtcmcn::train::run::{Batches as _, End, Folder, Run};
use mtcmcn::{Engine, Weights};

use super::args::NetName;
use super::crops;
use super::watch::Watch;

/// What all runs of one command share.
pub struct Session<'a> {
    pub stop: &'a AtomicBool,
    pub quiet: bool,
}

/// A net to be trained.
pub struct Net<'a> {
    pub net: NetName,
    pub folder: &'a Path,
    /// What the run is called while it goes on.
    pub title: String,
    pub config: &'a TrainConfig,
    /// Given crops; cut into the folder if there are none.
    pub crops: Option<&'a Path>,
    /// Given weights of other nets.
    pub others: Option<&'a Path>,
}

impl Session<'_> {
    /// Trains `net` to the end, from where its folder says.
    pub fn train(&self, net: &Net<'_>) -> Result<End> {
        let folder = Folder::open(net.folder)?;
        let others = net.others.map(Weights::load).transpose()?;
        let engine = engine(net.config)?;
        let path = match net.crops {
            Some(path) => path.to_owned(),
            None => match self.prepare(net, &engine, others.as_ref(), &folder)? {
                Some(path) => path,
                None => return Ok(End::Stopped),
            },
        };
        let batches = crops::open(&path, net.net, net.config).with_context(|| format!("crops {path:?}"))?;
        let learner = NetLearner::new(engine, net.net.name(), net.config, batches.size())?;
        let mut watch = Watch::new(&net.title, self.quiet);
        let run = Run {
            net: net.net.name(),
            learner,
            batches: &batches,
            config: net.config,
            folder: &folder,
            others: others.as_ref(),
            stop: self.stop,
        };
        let end = run.run(|event| watch.event(event));
        watch.end();
        Ok(end?)
    }

    /// Cuts crops into the folder, if they are not there yet; `None` if it was told to stop.
    fn prepare(&self, net: &Net<'_>, engine: &Engine, others: Option<&Weights>, folder: &Folder) -> Result<Option<PathBuf>> {
        let path = folder.path().join("crops.shard");
        if path.exists() {
            return Ok(Some(path));
        }
        let end = crops::prepare(net.net, net.config, engine, others, &path, self)?;
        Ok((end == End::Finished).then_some(path))
    }
}

/// The engine that the settings name.
pub fn engine(config: &TrainConfig) -> Result<Engine> {
    let Ok(device) = config.run.device.parse();
    let engine = Engine::open(&device).with_context(|| format!("run.device = {:?}", config.run.device))?;
    tracing::info!("training on {}", engine.name());
    Ok(engine)
}
