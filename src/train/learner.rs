//! Adapter of a [`Trainer`] of one net to the interface of the training loop.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{NetConfig, OptimizerKind, TrainConfig};
use super::run::{Cause, Kept, Learner, RunError};
use super::{Batch, Meters, NetRecipe, Objective, Optimizer, TrainError, Trainer};
use crate::engine::Engine;
use crate::nets::rivals::{NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24};
use crate::nets::{Net, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use crate::tensor::Tensor;
use crate::weights::Weights;

/// Number of steps after which losses are read: the device holds them for a limited number of steps.
const UNREAD: u64 = 200;

/// The cascade's nets, whose initial weights are drawn one after the other.
const OURS: [Net; 3] = [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET];

/// The nets that can be trained: ours, and those that they are compared with.
const NETS: [Net; 8] = [OURS[0], OURS[1], OURS[2], NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24];

/// One net in training on an engine.
pub struct NetLearner {
    net: Net,
    trainer: Trainer<NetRecipe>,
    unread: u64,
    meters: Meters,
}

impl NetLearner {
    /// Creates a learner for the net `name` with initial weights by the settings' seed, for batches of
    /// `batch` samples.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if the name is unknown or the device cannot hold the net.
    pub fn new(engine: &Engine, name: &str, config: &TrainConfig, batch: u32) -> Result<Self, RunError> {
        let unknown = || RunError::Learner { net: name.into(), source: "no net of that name can be trained".into() };
        let net = NETS.into_iter().find(|net| net.name == name).ok_or_else(unknown)?;
        let own = config.net(name).ok_or_else(unknown)?;
        let (seed, rules) = (u64::from(config.seed), own.initialization);
        let weights = if OURS.contains(&net) { rules.weights(seed) } else { rules.weights_of(net, seed) };
        let mut tensors = weights.map_err(|error| failed(net, error))?.tensors().clone();
        if let Some(path) = &own.start {
            start(&mut tensors, net, path).map_err(|error| failed(net, error))?;
        }
        let recipe = NetRecipe::new(net, batch, objective(own), optimizer(own));
        let recipe = match own.micro_batch {
            0 => recipe.fitted(engine.facts()).map_err(|error| failed(net, error))?,
            micro_batch if batch.is_multiple_of(micro_batch) => recipe.in_micro_batches(micro_batch),
            micro_batch => return Err(failed(net, format!("micro-batches of {micro_batch} do not divide a batch of {batch}"))),
        };
        let trainer = Trainer::new(engine, recipe, &tensors, config.seed).map_err(|error| named(net, error))?;
        Ok(Self { net, trainer, unread: 0, meters: Meters::default() })
    }

    fn read(&mut self) -> Result<(), RunError> {
        let reports = self.trainer.reports().map_err(|error| named(self.net, error))?;
        reports.iter().for_each(|report| self.meters.add(&report.meters));
        self.unread = 0;
        Ok(())
    }
}

impl Learner for NetLearner {
    type Batch = Batch;

    fn step(&mut self, batch: &Batch, rate: f64) -> Result<(), RunError> {
        if self.unread >= UNREAD {
            self.read()?;
        }
        self.trainer.step(batch, rate).map_err(|error| named(self.net, error))?;
        self.unread += 1;
        Ok(())
    }

    fn losses(&mut self) -> Result<Meters, RunError> {
        self.read()?;
        Ok(std::mem::take(&mut self.meters))
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<Meters, RunError> {
        let step = u64::from(self.trainer.steps());
        self.trainer.evaluate(batch).map_err(|error| match named(self.net, error) {
            RunError::NotFinite { net, what, kept, .. } => RunError::NotFinite { net, step, what, kept },
            other => other,
        })
    }

    fn export(&mut self) -> Result<BTreeMap<String, Tensor>, RunError> {
        self.trainer.states().map_err(|error| named(self.net, error))
    }

    fn import(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<(), RunError> {
        let step = u32::try_from(step).map_err(|error| failed(self.net, error))?;
        self.trainer.restore(step, tensors).map_err(|error| named(self.net, error))?;
        (self.unread, self.meters) = (0, Meters::default());
        Ok(())
    }
}

/// Replaces `tensors` by those of `net` in the file of weights at `path`. A detector's weights lack the heads
/// that are for training alone; those stay as they are.
fn start(tensors: &mut BTreeMap<String, Tensor>, net: Net, path: &Path) -> Result<(), Cause> {
    let (weights, prefix) = (Weights::load(path)?, format!("{}.", net.name));
    let mut own = weights.tensors().iter().filter(|(name, _)| name.starts_with(&prefix)).peekable();
    if own.peek().is_none() {
        return Err(format!("{path:?}, from which it is to start, holds no tensor of it").into());
    }
    tensors.extend(own.map(|(name, tensor)| (name.clone(), tensor.clone())));
    Ok(())
}

fn objective(config: &NetConfig) -> Objective {
    let (loss, mining) = (config.loss, config.mining);
    Objective {
        weights: [loss.class, loss.r#box, loss.landmarks].map(|weight| weight as f32),
        keep: [mining.class, mining.r#box, mining.landmarks],
        dropout: config.dropout,
    }
}

fn optimizer(config: &NetConfig) -> Optimizer {
    let o = &config.optimizer;
    match o.kind {
        OptimizerKind::Sgd => Optimizer::Sgd { momentum: o.momentum, decay: o.weight_decay },
        kind => Optimizer::Adam {
            betas: [o.beta1, o.beta2],
            epsilon: o.epsilon,
            decay: o.weight_decay,
            decoupled: kind == OptimizerKind::AdamW,
        },
    }
}

fn failed(net: Net, source: impl Into<Cause>) -> RunError {
    RunError::Learner { net: net.name.into(), source: source.into() }
}

fn named(net: Net, error: TrainError) -> RunError {
    match error {
        TrainError::NotFinite { net, what, step } => {
            RunError::NotFinite { net: net.into(), step: u64::from(step) + 1, what, kept: Kept::default() }
        }
        other => failed(net, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Initialization;

    #[test]
    fn a_net_starts_from_the_weights_that_are_named() {
        let path = std::env::temp_dir().join(format!("mtcmcn-start-{}.safetensors", std::process::id()));
        let mut given = Initialization::He.weights_of(ONET, 7).unwrap().tensors().clone();
        given.remove("onet.landmarks.bias");
        Weights::new(given.clone(), BTreeMap::new()).unwrap().save(&path).unwrap();
        let mut config = TrainConfig::default();
        for net in ["onet", "rnet"] {
            config.net_mut(net).unwrap().start = Some(path.clone());
        }
        let engine = Engine::cpu();
        let states = NetLearner::new(&engine, "onet", &config, 4).unwrap().export().unwrap();
        assert!(given.iter().all(|(name, tensor)| states[name] == *tensor));
        assert!(states["onet.landmarks.bias"].data.iter().all(|value| *value == 0.0), "what it lacks is drawn");
        let error = NetLearner::new(&engine, "rnet", &config, 4).err().unwrap();
        std::fs::remove_file(&path).unwrap();
        let RunError::Learner { net, source } = error else { panic!("{error}") };
        assert!(net == "rnet" && source.to_string().contains("holds no tensor of it"), "{source}");
    }
}
