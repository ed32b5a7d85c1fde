//! One net: its crops, its engine, its run.

use std::path::{Path, PathBuf};

use anyhow::Result;
use mtcmcn::Weights;
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::crops::ShardBatches;
use mtcmcn::train::learner::NetLearner;
use mtcmcn::train::run::{Batches as _, End, Folder, Run};

use super::args::NetName;
use super::session::TrainSession;
use super::watch::RunWatch;
use super::{crops, plot};

/// A net to be trained.
pub struct NetRun<'a> {
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

impl TrainSession {
    /// Trains `net` to the end, from where its folder says.
    pub fn train(&self, net: &NetRun<'_>) -> Result<End> {
        self.train_as(net.net.name(), net)
    }

    /// Trains the net called `name` with the settings and crops of `net`.
    pub fn train_as(&self, name: &str, net: &NetRun<'_>) -> Result<End> {
        let folder = Folder::open(net.folder)?;
        let others = net.others.map(Weights::load).transpose()?;
        let Some(path) = self.crops(net, others.as_ref(), &folder)? else { return Ok(End::Stopped) };
        let batches = ShardBatches::open(&path, net.net.name(), net.config)?;
        let learner = NetLearner::new(&self.engine, name, net.config, batches.size())?;
        let mut watch = RunWatch::new(&net.title, self.quiet);
        let run =
            Run { net: name, learner, batches: &batches, config: net.config, folder: &folder, others: others.as_ref(), stop: self.stop };
        let end = run.run(|event| watch.event(event));
        watch.end();
        let end = end?;
        if end == End::Finished {
            plot::finished(folder.path())?;
        }
        Ok(end)
    }

    /// Where crops are: given, or cut into the folder if they are not there yet; `None` if it was told to
    /// stop meanwhile.
    fn crops(&self, net: &NetRun<'_>, others: Option<&Weights>, folder: &Folder) -> Result<Option<PathBuf>> {
        if let Some(path) = net.crops {
            return Ok(Some(path.to_owned()));
        }
        let path = folder.path().join("crops.shard");
        if path.exists() {
            return Ok(Some(path));
        }
        let Some(config) = crops::labelled(net.config, &folder.path().join("labels"), self)? else { return Ok(None) };
        let end = crops::prepare(net.net, &config, others, &path, self)?;
        Ok((end == End::Finished).then_some(path))
    }
}
