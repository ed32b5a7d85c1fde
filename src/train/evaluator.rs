//! What a net makes of samples, without training it.

use super::step::{Batch, Forward, Objective, RING, TrainError};
use crate::engine::{Engine, Session};
use crate::kernels::train::{Entry, Squares, Status, StepInputs};
use crate::nets::Net;
use crate::record::Recording;
use crate::weights::Weights;

/// Losses and accuracy of a net on samples, without training it.
pub struct Evaluator {
    session: Session,
    forward: Forward,
    done: u32,
    net: Net,
}

impl Evaluator {
    /// For batches of `n` of `net`.
    ///
    /// # Errors
    ///
    /// As [`Trainer::new`](super::Trainer::new).
    pub fn new(engine: &Engine, net: Net, weights: &Weights, n: u32, objective: &Objective) -> Result<Self, TrainError> {
        let objective = Objective { keep: [1.0; 3], dropout: 0.0, ..*objective };
        let mut recording = Recording::new();
        let forward = Forward::record(&mut recording, net, weights, n, &objective)?;
        let norms = recording.constant("norms", vec![0.0; Squares::SHARES]);
        forward.summary(&mut recording, norms, 1);
        let mut evaluator = Self { session: engine.load(recording)?, forward, done: 0, net };
        evaluator.set(weights)?;
        Ok(evaluator)
    }

    /// Evaluates with `weights` from now on.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if they do not fit.
    pub fn set(&mut self, weights: &Weights) -> Result<(), TrainError> {
        let packed = self.forward.training.pack(weights)?;
        for (parameter, data) in self.forward.training.parameters().iter().zip(packed) {
            self.session.write(parameter.value, bytemuck::cast_slice(&data));
        }
        Ok(())
    }

    /// Losses over `batches`, each sample counted once.
    ///
    /// # Errors
    ///
    /// [`TrainError::NotFinite`] if a loss is NaN or infinite, [`TrainError::Engine`] if the device fails.
    pub fn evaluate<'a>(&mut self, batches: impl Iterator<Item = &'a Batch>) -> Result<Entry, TrainError> {
        let mut sum = Entry::default();
        for batch in batches {
            self.forward.write(&mut self.session, batch, StepInputs::new(self.done, 0, 0.0, [0.0; 2]));
            self.session.play()?;
            let ring = self.session.peek(self.forward.ring)?;
            let entry = Entry::list(&ring)[(self.done % RING) as usize];
            self.done += 1;
            let status = Status::read(&self.session.peek(self.forward.status)?);
            if status.fault != 0 {
                self.session.write(self.forward.status, bytemuck::bytes_of(&Status::default()));
                let what = status.loss().unwrap_or_default().to_owned();
                return Err(TrainError::NotFinite { net: self.net.name, what, step: status.step });
            }
            for task in 0..3 {
                sum.losses[task] += entry.losses[task] * entry.kept[task];
                sum.kept[task] += entry.kept[task];
            }
            sum.right += entry.right;
            sum.pool += entry.pool;
            sum.cross_entropy += entry.cross_entropy * entry.pool;
        }
        for task in 0..3 {
            sum.losses[task] /= sum.kept[task].max(1.0);
        }
        sum.cross_entropy /= sum.pool.max(1.0);
        Ok(sum)
    }
}
