//! The whole cascade, each net on what those before it find.

use std::path::Path;

use anyhow::{Context as _, Result};
use mtcmcn::Weights;
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::run::End;

use super::args::{NetName, absolute};
use super::crops;
use super::job::Job;
use super::net::NetRun;
use super::session::TrainSession;

/// Trains the three nets in `folder`, from where each of theirs says.
pub fn run(session: &TrainSession, folder: &Path, config: &TrainConfig) -> Result<End> {
    let Some(config) = &crops::labelled(config, &folder.join("labels"), session)? else { return Ok(End::Stopped) };
    // Weights of the nets that are done; a whole cascade after the last.
    let sum = folder.join("weights.safetensors");
    for net in NetName::ALL {
        if done(&sum, net)? {
            continue;
        }
        let own = folder.join(net.name());
        let others = (!net.before().is_empty()).then_some(sum.as_path());
        // So that one of them can be gone on with by itself.
        Job { weights: absolute(others)?, ..Job::new(net) }.write(&own, config)?;
        let run = NetRun { net, folder: &own, title: net.name().into(), config, crops: None, others };
        if session.train(&run)? == End::Stopped {
            return Ok(End::Stopped);
        }
        let trained = own.join("weights.safetensors");
        join(others, &trained, &sum).with_context(|| format!("joining {trained:?} with the nets before it"))?;
    }
    Ok(End::Finished)
}

/// Whether the weights of `net` are in the file of finished nets.
fn done(sum: &Path, net: NetName) -> Result<bool> {
    if !sum.exists() {
        return Ok(false);
    }
    let prefix = format!("{}.", net.name());
    Ok(Weights::load(sum)?.names().any(|name| name.starts_with(&prefix)))
}

/// Puts the weights of `before` and `trained` into one file at `sum`.
fn join(before: Option<&Path>, trained: &Path, sum: &Path) -> Result<()> {
    let before = before.map_or_else(|| Ok(Weights::default()), Weights::load)?;
    before.joined(Weights::load(trained)?).save(sum)?;
    Ok(())
}
