//! A [`Trainer`] and an [`Evaluator`] of one net as the run loop knows them.

use std::collections::BTreeMap;

use super::config::{NetConfig, OptimizerKind, TrainConfig};
use super::run::{Cause, Kept, Learner, RunError, Tally};
use super::{Batch, Evaluator, Objective, Optimizer, TrainError, Trainer};
use crate::engine::Engine;
use crate::kernels::train::Entry;
use crate::nets::rivals::{NET12, NET24, NET48};
use crate::nets::{Activation, Net, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use crate::tensor::Tensor;
use crate::train::checkpoint::OPTIMIZER;
use crate::weights::Weights;

/// Steps whose losses the device holds; asked for in time, none is missed.
const UNREAD: u64 = 200;

/// The nets that learn: ours, and those that they are compared with.
const NETS: [Net; 6] = [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET, NET12, NET24, NET48];

/// One net that learns on an engine.
pub struct NetLearner {
    engine: Engine,
    net: Net,
    batch: u32,
    objective: Objective,
    optimizer: Optimizer,
    seed: u32,
    trainer: Trainer,
    evaluator: Option<Evaluator>,
    /// The evaluator has the trainer's weights.
    current: bool,
    unread: u64,
    tally: Tally,
}

impl NetLearner {
    /// The net called `name`, with first weights by the settings' seed, for batches of `batch` samples.
    ///
    /// # Errors
    ///
    /// [`RunError::Learner`] if there is no such net, or the device cannot hold it.
    pub fn new(engine: Engine, name: &str, config: &TrainConfig, batch: u32) -> Result<Self, RunError> {
        let unknown = || RunError::Learner { net: name.into(), source: "no net of that name can be trained".into() };
        let net = NETS.into_iter().find(|net| net.name == name).ok_or_else(unknown)?;
        let own = config.net(name).ok_or_else(unknown)?;
        let (objective, optimizer) = (objective(own), optimizer(own));
        let (seed, rules) = (u64::from(config.seed), own.initialization);
        let weights = if net.activation == Activation::PRelu { rules.weights(seed) } else { rules.weights_of(net, seed) };
        let weights = weights.map_err(|error| failed(net, error))?;
        let trainer = Trainer::new(&engine, net, &weights, batch, &objective, optimizer, config.seed).map_err(|error| named(net, error))?;
        let (evaluator, current, unread, tally) = (None, false, 0, Tally::default());
        Ok(Self { engine, net, batch, objective, optimizer, seed: config.seed, trainer, evaluator, current, unread, tally })
    }

    fn read(&mut self) -> Result<(), RunError> {
        let entries = self.trainer.entries().map_err(|error| named(self.net, error))?;
        entries.iter().for_each(|entry| self.tally.add(&tally(entry)));
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
        self.current = false;
        Ok(())
    }

    fn losses(&mut self) -> Result<Tally, RunError> {
        self.read()?;
        Ok(std::mem::take(&mut self.tally))
    }

    fn evaluate(&mut self, batch: &Batch) -> Result<Tally, RunError> {
        let net = self.net;
        if !self.current {
            let tensors = self.trainer.tensors().map_err(|error| named(net, error))?;
            let weights = Weights::new(tensors, BTreeMap::new())?;
            match &mut self.evaluator {
                Some(evaluator) => evaluator.set(&weights).map_err(|error| named(net, error))?,
                none => {
                    let made = Evaluator::new(&self.engine, net, &weights, self.batch, &self.objective);
                    *none = Some(made.map_err(|error| named(net, error))?);
                }
            }
            self.current = true;
        }
        let evaluator = self.evaluator.as_mut().expect("made above");
        let step = u64::from(self.trainer.steps());
        let entry = evaluator.evaluate(std::iter::once(batch)).map_err(|error| match named(net, error) {
            // Of a validation the step at which it is made is worth knowing, not which batch of it.
            RunError::NotFinite { net, what, kept, .. } => RunError::NotFinite { net, step, what: format!("validation {what}"), kept },
            other => other,
        })?;
        Ok(tally(&entry))
    }

    fn export(&mut self) -> Result<BTreeMap<String, Tensor>, RunError> {
        let mut tensors = self.trainer.tensors().map_err(|error| named(self.net, error))?;
        let moments = self.trainer.moments().map_err(|error| named(self.net, error))?;
        tensors.extend(moments.into_iter().map(|(name, tensor)| (format!("{OPTIMIZER}{name}"), tensor)));
        Ok(tensors)
    }

    fn import(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<(), RunError> {
        let net = self.net;
        let weights = Weights::new(tensors.clone(), BTreeMap::new())?;
        let made = Trainer::new(&self.engine, net, &weights, self.batch, &self.objective, self.optimizer, self.seed);
        self.trainer = made.map_err(|error| named(net, error))?;
        let moments = tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(OPTIMIZER)?.to_owned(), tensor.clone())));
        let step = u32::try_from(step).map_err(|error| failed(net, error))?;
        self.trainer.restore(step, &moments.collect()).map_err(|error| named(net, error))?;
        (self.current, self.unread, self.tally) = (false, 0, Tally::default());
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

fn tally(entry: &Entry) -> Tally {
    let mut tally = Tally { right: entry.right as u64, pool: entry.pool as u64, ..Tally::default() };
    for task in 0..3 {
        tally.losses[task] = f64::from(entry.losses[task]) * f64::from(entry.kept[task]);
        tally.samples[task] = entry.kept[task] as u64;
    }
    tally
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
