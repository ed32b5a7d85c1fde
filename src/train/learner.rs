//! A [`Trainer`] of one net as the run loop knows it.

use std::collections::BTreeMap;

use super::config::{NetConfig, OptimizerKind, TrainConfig};
use super::run::{Cause, Kept, Learner, RunError};
use super::{Batch, Meters, NetRecipe, Objective, Optimizer, TrainError, Trainer};
use crate::engine::Engine;
use crate::nets::rivals::{NET12, NET24, NET48};
use crate::nets::{Net, Nonlinearity, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use crate::tensor::Tensor;

/// Steps whose losses the device holds; asked for in time, none is missed.
const UNREAD: u64 = 200;

/// The nets that learn: ours, and those that they are compared with.
const NETS: [Net; 6] = [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET, NET12, NET24, NET48];

/// One net that learns on an engine.
pub struct NetLearner {
    net: Net,
    trainer: Trainer<NetRecipe>,
    unread: u64,
    meters: Meters,
}

impl NetLearner {
    /// The net called `name`, with first weights by the settings' seed, for batches of `batch` samples.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if there is no such net, or the device cannot hold it.
    pub fn new(engine: &Engine, name: &str, config: &TrainConfig, batch: u32) -> Result<Self, RunError> {
        let unknown = || RunError::Learner { net: name.into(), source: "no net of that name can be trained".into() };
        let net = NETS.into_iter().find(|net| net.name == name).ok_or_else(unknown)?;
        let own = config.net(name).ok_or_else(unknown)?;
        let (seed, rules) = (u64::from(config.seed), own.initialization);
        let weights = if net.activation == Nonlinearity::PRelu { rules.weights(seed) } else { rules.weights_of(net, seed) };
        let weights = weights.map_err(|error| failed(net, error))?;
        let recipe = NetRecipe::new(net, batch, objective(own), optimizer(own));
        let recipe = match own.micro_batch {
            0 => recipe.fitted(engine.facts()).map_err(|error| failed(net, error))?,
            micro_batch if batch.is_multiple_of(micro_batch) => recipe.in_micro_batches(micro_batch),
            micro_batch => return Err(failed(net, format!("micro-batches of {micro_batch} do not divide a batch of {batch}"))),
        };
        let trainer = Trainer::new(engine, recipe, weights.tensors(), config.seed).map_err(|error| named(net, error))?;
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
