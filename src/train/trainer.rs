//! [`Trainer`]: plays the beats of a recipe's program. It knows no net.

use std::collections::{BTreeMap, VecDeque};

use super::meters::Meters;
use super::optimizer::{OPTIMIZER, prefix};
use super::recipe::{Beat, Program, RING, Recipe, ReportSlots};
use crate::engine::{Engine, EngineError, Flight, Session};
use crate::kernels::train::{Status, StepInputs, Summary};
use crate::nets::NetError;
use crate::record::{Part, Slot, State, StateError};
use crate::tensor::Tensor;
use crate::weights::WeightsError;

/// Why training stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The weights do not fit the net, or the batch is too large to index.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A tensor to start from or to go on with is missing or misshapen.
    #[error(transparent)]
    State(#[from] StateError),
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

/// A step in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct StepReport {
    /// Steps before it.
    pub step: u32,
    /// L2 norm of all gradients.
    pub gradient_norm: f64,
    /// Losses and the like.
    pub meters: Meters,
}

/// Submissions that the host may be ahead of the device: while one runs, the next waits for it with its batch.
const AHEAD: usize = 2;

/// Trains by a recipe: parameters and optimizer state stay on the device.
pub struct Trainer<R: Recipe> {
    recipe: R,
    inputs: R::Inputs,
    session: Session,
    /// Everything but the recording, which the session has.
    program: Program,
    /// Submissions of a step, and of a validation batch.
    plays: [Vec<Submission>; 2],
    seed: u32,
    step: u32,
    /// Validation batches so far.
    validated: u32,
    /// Steps whose reports were handed out.
    told: u32,
    /// Submissions that the device has not been waited for, oldest first.
    under_way: VecDeque<Flight>,
}

/// Parts that are submitted together, for one micro-batch or for none in particular.
struct Submission {
    parts: Vec<Part>,
    micro_batch: Option<u32>,
}

/// `beats` as submissions: what one micro-batch or none needs goes together.
fn plays(beats: &[Beat], micro_batches: u32) -> Vec<Submission> {
    if micro_batches == 1 {
        let parts = beats.iter().map(|beat| match beat {
            Beat::Each(part) | Beat::Once(part) => *part,
        });
        return vec![Submission { parts: parts.collect(), micro_batch: Some(0) }];
    }
    let mut plays = Vec::new();
    for beat in beats {
        match beat {
            Beat::Once(part) => plays.push(Submission { parts: vec![*part], micro_batch: None }),
            Beat::Each(part) => plays.extend((0..micro_batches).map(|micro| Submission { parts: vec![*part], micro_batch: Some(micro) })),
        }
    }
    plays
}

impl<R: Recipe> Trainer<R> {
    /// A trainer by `recipe` on `engine`, from the tensors `start`, whose optimizer has seen no step. Dropout follows `seed`.
    ///
    /// # Errors
    ///
    /// [`TrainError::State`] if a tensor is missing or misshapen, [`TrainError::Net`] if a batch is too large to index,
    /// [`TrainError::Engine`] if the device cannot hold a batch or compile a kernel.
    pub fn new(engine: &Engine, recipe: R, start: &BTreeMap<String, Tensor>, seed: u32) -> Result<Self, TrainError> {
        let (mut program, inputs) = recipe.program(engine.facts())?;
        let session = engine.load(std::mem::take(&mut program.recording))?;
        let plays = [&program.step, &program.validation].map(|beats| plays(beats, program.micro_batches));
        let mut trainer =
            Self { recipe, inputs, session, program, plays, seed, step: 0, validated: 0, told: 0, under_way: VecDeque::new() };
        trainer.begin(0, start, true)?;
        Ok(trainer)
    }

    /// Goes on after `step` steps from `states`, which [`Trainer::states`] gave then.
    ///
    /// # Errors
    ///
    /// [`TrainError::State`] if a tensor is missing or misshapen, [`TrainError::Net`] if one is not finite; nothing has changed then.
    pub fn restore(&mut self, step: u32, states: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        self.begin(step, states, false)
    }

    /// `fresh` moments are zero.
    fn begin(&mut self, step: u32, states: &BTreeMap<String, Tensor>, fresh: bool) -> Result<(), TrainError> {
        let mut states = states.clone();
        let broken = states.iter().find_map(|(name, tensor)| {
            let index = tensor.data.iter().position(|value| !value.is_finite())?;
            Some(WeightsError::NotFinite { name: name.clone(), index, value: tensor.data[index] })
        });
        if let Some(error) = broken {
            return Err(error.into());
        }
        if fresh {
            let prefixes = self.program.optimizer.moments().iter();
            for state in prefixes.flat_map(|moment| self.program.learned.iter().map(move |own| own.state.prefixed(&prefix(moment)))) {
                states.extend(state.tensors.into_iter().map(|tensor| {
                    let data = vec![0.0; tensor.shape.iter().product()];
                    (tensor.name, Tensor { shape: tensor.shape, data })
                }));
            }
        }
        while !self.under_way.is_empty() {
            self.land()?;
        }
        self.session.set(&states)?;
        // A fault of before is forgotten.
        self.session.write(self.program.report.status, bytemuck::bytes_of(&Status::default()));
        (self.step, self.told) = (step, step);
        Ok(())
    }

    /// How it trains.
    pub fn recipe(&self) -> &R {
        &self.recipe
    }

    /// Steps done.
    pub fn steps(&self) -> u32 {
        self.step
    }

    /// Positions of the recording's steps that one step of training plays, once for each time that it plays them.
    pub fn dispatches(&self) -> Vec<usize> {
        let parts = self.plays[0].iter().flat_map(|play| &play.parts);
        parts.flat_map(|part| self.session.recording().steps_of(*part)).collect()
    }

    /// The recording with its memory, for tests and benches.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// Plays one step on `batch` at learning rate `rate`. On a GPU this is one submission, or some for each micro-batch, which are not
    /// waited for: the host may prepare the next batch meanwhile. What came of it is told by [`Trainer::reports`].
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn step(&mut self, batch: &R::Batch, rate: f64) -> Result<(), TrainError> {
        let schedule = StepInputs::new(self.step, self.seed, rate, self.program.optimizer.betas());
        self.play(0, batch, schedule)?;
        self.step += 1;
        Ok(())
    }

    fn play(&mut self, which: usize, batch: &R::Batch, schedule: StepInputs) -> Result<(), TrainError> {
        let Self { recipe, inputs, session, program, plays, under_way, .. } = self;
        for play in &plays[which] {
            let micro_batch = play.micro_batch.unwrap_or(0);
            if play.micro_batch.is_some() {
                recipe.write(inputs, batch, micro_batch, session);
            }
            let schedule = schedule.from(micro_batch * program.samples);
            session.write(program.schedule, bytemuck::bytes_of(&schedule));
            under_way.push_back(session.submit_parts(&play.parts)?);
            while under_way.len() > AHEAD {
                session.collect(under_way.pop_front().expect("it is not empty"))?;
            }
        }
        Ok(())
    }

    /// Waits for the oldest play under way.
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
    pub fn reports(&mut self) -> Result<Vec<StepReport>, TrainError> {
        let first = self.told.max(self.step.saturating_sub(RING));
        let reports = self.read(&self.program.report.clone(), first..self.step)?;
        self.told = self.step;
        Ok(reports)
    }

    /// Losses of all samples of `batch` without learning.
    ///
    /// # Errors
    ///
    /// As [`Trainer::reports`]; the step is that at which it is asked.
    pub fn evaluate(&mut self, batch: &R::Batch) -> Result<Meters, TrainError> {
        let at = self.validated;
        self.validated += 1;
        self.play(1, batch, StepInputs::new(at, self.seed, 0.0, [0.0; 2]))?;
        let report = self.program.validation_report.clone();
        match self.read(&report, at..at + 1) {
            Ok(mut reports) => Ok(reports.pop().map(|report| report.meters).unwrap_or_default()),
            Err(TrainError::NotFinite { net, what, .. }) => {
                self.session.write(report.status, bytemuck::bytes_of(&Status::default()));
                Err(TrainError::NotFinite { net, what: format!("validation {what}"), step: self.step })
            }
            Err(other) => Err(other),
        }
    }

    fn read(&mut self, report: &ReportSlots, steps: std::ops::Range<u32>) -> Result<Vec<StepReport>, TrainError> {
        while !self.under_way.is_empty() {
            self.land()?;
        }
        let status = Status::read(&self.session.peek(report.status)?);
        let ring = self.session.peek(report.ring)?;
        let entry = |step: u32| {
            let words = Summary::words(report.meters.len());
            let entry = &ring[(step % RING) as usize * words..][..words];
            let mut meters = Meters::default();
            for (name, figure) in report.meters.iter().zip(entry[2..].chunks_exact(2)) {
                meters.count(name, f64::from(figure[0]), figure[1] as u64);
            }
            StepReport { step, gradient_norm: f64::from(entry[1]), meters }
        };
        if status.fault == 0 {
            return Ok(steps.map(entry).collect());
        }
        let what = match status.fault {
            Status::FIGURE => format!("{} loss", report.meters[status.place as usize]),
            _ => self.gradient(report, &entry(status.step), status.place as usize),
        };
        Err(TrainError::NotFinite { net: self.recipe.name(), what, step: status.step })
    }

    /// The gradient at `place` in words, with the tasks that were learned in its step: what lies before the heads is shared by all.
    fn gradient(&self, report: &ReportSlots, step: &StepReport, place: usize) -> String {
        let prefix = format!("{}.", self.recipe.name());
        let names = self.program.learned.get(place).map_or(&[][..], |learned| &learned.state.tensors);
        let names: Vec<&str> = names.iter().map(|tensor| tensor.name.trim_start_matches(&prefix)).collect();
        let tasks = report.meters[..report.losses].iter().map(String::as_str).filter(|name| step.meters.get(name).1 > 0);
        format!("gradient of {} ({})", names.join(" and "), tasks.collect::<Vec<_>>().join(", "))
    }

    /// Every state by name: parameters, and the optimizer's moments as `optimizer.<moment>.<tensor>`. This is what a checkpoint keeps.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn states(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        Ok(self.session.states()?)
    }

    /// The trained tensors by name.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let mut states = self.states()?;
        states.retain(|name, _| !name.starts_with(OPTIMIZER));
        Ok(states)
    }

    /// Gradients of the last step, by the names of the tensors.
    ///
    /// # Errors
    ///
    /// [`TrainError::Engine`] if the device fails.
    pub fn gradients(&self) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let slots: Vec<(Slot, State)> = self.program.learned.iter().map(|learned| (learned.gradient, learned.state.clone())).collect();
        Ok(self.session.read_as(&slots)?)
    }
}
