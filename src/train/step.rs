//! One training step as one recording: input, forward, losses, mining, backward, optimizer.

use std::collections::{BTreeMap, VecDeque};

use super::Optimizer;
use crate::engine::{Engine, EngineError, Flight, Session};
use crate::kernels::train::{
    CrossEntropy, CrossEntropyBackward, Entry, LossTask, Mine, SampleBits, SquaredError, SquaredErrorBackward, Squares, Status, StepInputs,
    Summary, TARGETS, Unpack,
};
use crate::nets::{Net, NetError, Training};
use crate::record::{Recording, Slot};
use crate::tensor::Tensor;
use crate::weights::{Weights, WeightsError};

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The weights do not fit the net, or the batch is too large to index.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A loss or gradient is NaN or infinite. The parameters are those before that step: no later step changed them.
    #[error("the {what} of {net} is not finite in step {step}; lower the learning rate, or look for broken samples")]
    NotFinite {
        /// Which net.
        net: &'static str,
        /// Which loss; or whose gradient, with the tasks that had a part in it.
        what: String,
        /// Steps before that one.
        step: u32,
    },
}

impl From<WeightsError> for TrainError {
    fn from(error: WeightsError) -> Self {
        Self::Net(error.into())
    }
}

/// What is minimised: `Σ_task weight · mean of the kept losses` (spec sections 4.3 and 4.4), tasks in the order of [`LossTask::ALL`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Objective {
    /// Weight of each task.
    pub weights: [f32; 3],
    /// Share of the samples with the task whose gradient counts, the hardest ones; 1 for all.
    pub keep: [f64; 3],
    /// Share of O-Net's and R-Net's hidden neurons dropped in training.
    pub dropout: f64,
}

impl Objective {
    /// The paper's for `net`: task weights of spec section 4.3, the hardest 70 % for classification, dropout of 0.25 in O-Net.
    pub fn of(net: Net) -> Self {
        let onet = net.name == "onet";
        Self { weights: [1.0, 0.5, if onet { 1.0 } else { 0.5 }], keep: [0.7, 1.0, 1.0], dropout: if onet { 0.25 } else { 0.0 } }
    }
}

/// Samples of one step, as they go up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// `[n, side, side]` pixels of R, G, B and an unused byte.
    pub rgba: Vec<u8>,
    /// [`SampleBits`] of each sample.
    pub kinds: Vec<u32>,
    /// Probability that each sample is a face, as its net should say: 0 or 1, or between by a teacher.
    pub faces: Vec<f32>,
    /// `[n, 14]`: box offsets, then landmarks (spec section 4.2); of no meaning where the kind lacks the task.
    pub targets: Vec<f32>,
}

impl Batch {
    /// Room for `n` crops of `side` pixels that have no task.
    pub fn empty(n: u32, side: u32) -> Self {
        let (n, pixels) = (n as usize, (n * side * side) as usize);
        Self { rgba: vec![0; 4 * pixels], kinds: vec![0; n], faces: vec![0.0; n], targets: vec![0.0; n * TARGETS] }
    }

    /// Makes the sample at `index` one of `kind`, without a teacher.
    pub fn label(&mut self, index: usize, kind: SampleBits) {
        (self.kinds[index], self.faces[index]) = (kind.0, kind.probability());
    }
}

/// Slots that forward pass and losses need, whether or not a backward pass follows.
pub(super) struct Forward {
    rgba: Slot,
    kinds: Slot,
    faces: Slot,
    targets: Slot,
    losses: Slot,
    scales: Slot,
    schedule: Slot,
    pub ring: Slot,
    pub status: Slot,
    pub training: Training,
    n: u32,
}

/// Entries that the device keeps until the host reads them.
pub(super) const RING: u32 = 256;

/// A task with the first of its outputs.
type Head = (LossTask, u32);

fn heads(net: Net) -> Vec<Head> {
    let mut first = 0;
    let mut found = Vec::new();
    for &(name, out) in net.heads() {
        found.extend(LossTask::ALL.into_iter().find(|task| task.name() == name).map(|task| (task, first)));
        first += out;
    }
    found
}

impl Forward {
    /// Appends input, forward pass, losses and mining.
    pub fn record(recording: &mut Recording, net: Net, weights: &Weights, n: u32, objective: &Objective) -> Result<Self, NetError> {
        let plane = net.side * net.side;
        let mut slot = |label: &str, len: u32| recording.slot(label, len as usize);
        let x = slot("x", 3 * n * plane);
        let (losses, scales) = (slot("losses", 3 * n), slot("scales", 3 * n));
        let status = slot("status", Status::WORDS as u32);
        let ring = slot("ring", RING * Entry::WORDS as u32);
        // The next batch may go up while this one is worked on.
        let mut input = |label: &str, len: u32| recording.input(label, len as usize);
        let (rgba, kinds, faces) = (input("rgba", n * plane), input("kinds", n), input("faces", n));
        let (targets, schedule) = (input("targets", n * TARGETS as u32), input("schedule", StepInputs::WORDS as u32));
        recording.push(Unpack::new(n, plane), &[rgba, x]);
        let training = net.training(recording, weights, x, n, objective.dropout, schedule)?;
        let (y, outputs) = (training.output().0, net.outputs());
        for (task, first) in heads(net) {
            match task {
                LossTask::Class => recording.push(CrossEntropy::new(n, outputs), &[y, kinds, faces, losses]),
                task => recording.push(SquaredError::new(task, n, outputs, first), &[y, kinds, targets, losses]),
            }
            let i = task.index() as usize;
            recording.push(Mine::new(task, n, objective.keep[i], objective.weights[i]), &[losses, kinds, scales]);
        }
        Ok(Self { rgba, kinds, faces, targets, losses, scales, schedule, ring, status, training, n })
    }

    /// Appends the summing up of a step.
    pub fn summary(&self, recording: &mut Recording, norms: Slot, count: u32) {
        let kernel = Summary::new(self.n, self.training.outputs(), count, RING);
        let y = self.training.output().0;
        recording.push(kernel, &[y, self.kinds, self.losses, self.scales, norms, self.schedule, self.ring, self.status]);
    }

    /// Takes in the samples of a step.
    pub fn write(&self, session: &mut Session, batch: &Batch, schedule: StepInputs) {
        session.write(self.rgba, &batch.rgba);
        session.write(self.kinds, bytemuck::cast_slice(&batch.kinds));
        session.write(self.faces, bytemuck::cast_slice(&batch.faces));
        session.write(self.targets, bytemuck::cast_slice(&batch.targets));
        session.write(self.schedule, bytemuck::bytes_of(&schedule));
    }
}

/// Trains one net: parameters and optimizer state stay on the device.
pub struct Trainer {
    net: Net,
    session: Session,
    forward: Forward,
    optimizer: Optimizer,
    /// By parameter.
    moments: Vec<Vec<Slot>>,
    seed: u32,
    step: u32,
    /// Entries that were handed out.
    told: u32,
    /// Steps that the device has not been waited for, oldest first.
    under_way: VecDeque<Flight>,
}

/// Steps that the host may be ahead of the device: while one runs, the next waits for it with its batch.
const AHEAD: usize = 2;

impl Trainer {
    /// A trainer of `net` on `engine` for batches of `n`, from `weights`, whose optimizer has seen no step. Dropout follows `seed`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if the weights do not fit, [`TrainError::Engine`] if the device cannot hold a batch or compile a kernel.
    pub fn new(
        engine: &Engine,
        net: Net,
        weights: &Weights,
        n: u32,
        objective: &Objective,
        optimizer: Optimizer,
        seed: u32,
    ) -> Result<Self, TrainError> {
        let mut recording = Recording::new();
        let forward = Forward::record(&mut recording, net, weights, n, objective)?;
        let training = &forward.training;
        let ((y, dy), outputs) = (training.output(), net.outputs());
        training.clear(&mut recording);
        for (task, first) in heads(net) {
            match task {
                LossTask::Class => recording.push(CrossEntropyBackward::new(n, outputs), &[y, forward.faces, forward.scales, dy]),
                task => {
                    let kernel = SquaredErrorBackward::new(task, n, outputs, first);
                    recording.push(kernel, &[y, forward.targets, forward.scales, dy]);
                }
            }
        }
        training.backward(&mut recording, engine.facts().parallelism())?;
        let parameters = training.parameters();
        let norms = recording.slot("norms", parameters.len() * Squares::SHARES);
        for (parameter, i) in parameters.iter().zip(0..) {
            recording.push(Squares::new(parameter.len, i), &[parameter.gradient, norms]);
        }
        forward.summary(&mut recording, norms, parameters.len() as u32);
        let mut moments = Vec::new();
        for parameter in parameters {
            let mut slot = |moment: &&str| recording.slot(format!("{moment}.{}", parameter.label), parameter.len as usize);
            let own: Vec<Slot> = optimizer.moments().iter().map(&mut slot).collect();
            optimizer.record(&mut recording, parameter, forward.schedule, forward.status, &own);
            moments.push(own);
        }
        let mut session = engine.load(recording)?;
        for (slot, data) in forward.training.initial() {
            session.write(slot, bytemuck::cast_slice(data));
        }
        Ok(Self { net, session, forward, optimizer, moments, seed, step: 0, told: 0, under_way: VecDeque::new() })
    }

    /// The net that is trained.
    pub fn net(&self) -> Net {
        self.net
    }

    /// Samples of a step.
    pub fn batch(&self) -> u32 {
        self.forward.n
    }

    /// Steps done.
    pub fn steps(&self) -> u32 {
        self.step
    }

    /// The recording of a step with its memory, for tests and benches.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Plays one step on `batch` at learning rate `rate`. On a GPU this is one submission, which is not waited for: the host may prepare the
    /// next batch meanwhile. What came of it is told by [`Trainer::entries`].
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn step(&mut self, batch: &Batch, rate: f64) -> Result<(), TrainError> {
        let schedule = StepInputs::new(self.step, self.seed, rate, self.optimizer.betas());
        self.forward.write(&mut self.session, batch, schedule);
        self.under_way.push_back(self.session.submit()?);
        self.step += 1;
        while self.under_way.len() > AHEAD {
            self.land()?;
        }
        Ok(())
    }

    /// Waits for the oldest step under way.
    fn land(&mut self) -> Result<(), TrainError> {
        if let Some(flight) = self.under_way.pop_front() {
            self.session.collect(flight)?;
        }
        Ok(())
    }

    /// Waits for the steps so far and tells of those not told before, at most the last 256.
    ///
    /// # Errors
    ///
    /// [`TrainError::NotFinite`] if one of them met a NaN or infinity, [`TrainError::Engine`] if the device failed.
    pub fn entries(&mut self) -> Result<Vec<Entry>, TrainError> {
        while !self.under_way.is_empty() {
            self.land()?;
        }
        let status = Status::read(&self.session.peek(self.forward.status)?);
        let ring = self.session.peek(self.forward.ring)?;
        if status.fault != 0 {
            let what = status.loss().map_or_else(|| self.gradient(status, Entry::list(&ring)), str::to_owned);
            return Err(TrainError::NotFinite { net: self.net.name, what, step: status.step });
        }
        let first = self.told.max(self.step.saturating_sub(RING));
        let entries = (first..self.step).map(|step| Entry::list(&ring)[(step % RING) as usize]).collect();
        self.told = self.step;
        Ok(entries)
    }

    /// The gradient that `status` names, with the tasks that were learned in its step: what lies before the heads is shared by all.
    fn gradient(&self, status: Status, ring: &[Entry]) -> String {
        let parameter = self.forward.training.parameters().get(status.place as usize).map_or("", |parameter| &parameter.label);
        let entry = ring[(status.step % RING) as usize];
        let tasks: Vec<&str> =
            LossTask::ALL.into_iter().filter(|task| entry.kept[task.index() as usize] > 0.0).map(LossTask::name).collect();
        format!("gradient of {} ({})", parameter.trim_start_matches(self.net.name).trim_start_matches('.'), tasks.join(", "))
    }

    /// The trained tensors by name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        self.unpacked(self.forward.training.parameters().iter().map(|parameter| parameter.value))
    }

    /// Gradients of the last step, by the names of the tensors.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn gradients(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        self.unpacked(self.forward.training.parameters().iter().map(|parameter| parameter.gradient))
    }

    /// The optimizer's moments by name: `<moment>.<tensor>`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn moments(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let mut all = BTreeMap::new();
        for (i, moment) in self.optimizer.moments().iter().enumerate() {
            let tensors = self.unpacked(self.moments.iter().map(|slots| slots[i]))?;
            all.extend(tensors.into_iter().map(|(name, tensor)| (format!("{moment}.{name}"), tensor)));
        }
        Ok(all)
    }

    fn unpacked(&self, slots: impl Iterator<Item = Slot>) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let contents = slots.map(|slot| self.session.peek(slot)).collect::<Result<Vec<_>, _>>()?;
        Ok(self.forward.training.unpack(&contents))
    }

    /// Continues after `step` steps, with what [`Trainer::moments`] gave then. Parameters are those that the trainer was made with.
    ///
    /// # Errors
    ///
    /// [`TrainError::Net`] if a moment is missing, misshapen or not finite.
    pub fn restore(&mut self, step: u32, moments: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        for (i, moment) in self.optimizer.moments().iter().enumerate() {
            let prefix = format!("{moment}.");
            let own = moments.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?.to_owned(), tensor.clone())));
            let packed = self.forward.training.pack(&Weights::new(own.collect(), BTreeMap::new())?)?;
            for (slots, data) in self.moments.iter().zip(packed) {
                self.session.write(slots[i], bytemuck::cast_slice(&data));
            }
        }
        (self.step, self.told) = (step, step);
        Ok(())
    }
}
