use std::cell::Cell;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::*;
use crate::tensor::noise;
use crate::train::checkpoint::{Checkpoint, Checkpoints};
use crate::train::metrics::{self, Kind};

/// Points in a line; the net's two weights move towards them.
struct Points {
    validation: u64,
    hash: String,
    /// At this step they cannot be read.
    broken: Option<u64>,
}

impl Batches for Points {
    type Batch = Vec<f32>;

    fn size(&self) -> u32 {
        4
    }

    fn per_epoch(&self) -> u64 {
        5
    }

    fn batch(&self, step: u64) -> Result<Vec<f32>, RunError> {
        if self.broken == Some(step) {
            return Err(RunError::Data("shard.bin is cut short".into()));
        }
        Ok(noise(4, step))
    }

    fn validation_batches(&self) -> u64 {
        self.validation
    }

    fn validation_batch(&self, index: u64) -> Result<Vec<f32>, RunError> {
        Ok(noise(4, 1_000_000 + index))
    }

    fn hash(&self) -> &str {
        &self.hash
    }
}

/// Momentum by hand, in `f32`, so that a resumed run shows any lost bit.
struct Fake {
    weights: [f32; 2],
    momentum: [f32; 2],
    step: u64,
    meters: Meters,
    /// From this step on nothing is finite.
    nan_at: Option<u64>,
    /// In this step the device goes.
    lost_at: Option<u64>,
}

impl Fake {
    fn new() -> Self {
        Self { weights: [3.0, -2.0], momentum: [0.0; 2], step: 0, meters: Meters::default(), nan_at: None, lost_at: None }
    }

    fn loss(&self, batch: &[f32]) -> Meters {
        let losses = batch.iter().enumerate().map(|(i, x)| f64::from(x - self.weights[i % 2]).powi(2)).sum();
        let mut meters = Meters::default();
        meters.count("class", losses, 4);
        meters.count("accuracy", 3.0, 4);
        meters
    }
}

impl Learner for Fake {
    type Batch = Vec<f32>;

    fn step(&mut self, batch: &Vec<f32>, rate: f64) -> Result<(), RunError> {
        if self.lost_at == Some(self.step) {
            let source = crate::engine::EngineError::Lost { message: "unplugged".into() };
            return Err(RunError::Learner { net: "onet".into(), source: Box::new(source) });
        }
        let loss = self.loss(batch);
        self.meters.add(&loss);
        for (i, x) in batch.iter().enumerate() {
            let k = i % 2;
            self.momentum[k] = 0.9 * self.momentum[k] + (x - self.weights[k]);
            self.weights[k] += rate as f32 * self.momentum[k];
        }
        self.step += 1;
        Ok(())
    }

    fn losses(&mut self) -> Result<Meters, RunError> {
        match self.nan_at {
            Some(step) if self.step >= step => {
                Err(RunError::NotFinite { net: "onet".into(), step, what: "box loss".into(), kept: Kept::default() })
            }
            _ => Ok(std::mem::take(&mut self.meters)),
        }
    }

    fn evaluate(&mut self, batch: &Vec<f32>) -> Result<Meters, RunError> {
        Ok(self.loss(batch))
    }

    fn export(&mut self) -> Result<BTreeMap<String, Tensor>, RunError> {
        let tensor = |data: [f32; 2]| Tensor { shape: vec![2], data: data.to_vec() };
        Ok([("onet.w", self.weights), ("optimizer.m.onet.w", self.momentum)].map(|(name, data)| (name.into(), tensor(data))).into())
    }

    fn import(&mut self, tensors: &BTreeMap<String, Tensor>, step: u64) -> Result<(), RunError> {
        let get = |name: &str| tensors[name].data.clone().try_into().unwrap();
        (self.weights, self.momentum, self.step) = (get("onet.w"), get("optimizer.m.onet.w"), step);
        Ok(())
    }
}

struct RunFolder(PathBuf);

impl RunFolder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mtcmcn-run-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn store(&self) -> Checkpoints {
        Checkpoints::open(&self.0.join("checkpoints"), 3).unwrap()
    }

    fn newest(&self) -> Checkpoint {
        self.store().newest().unwrap().unwrap().checkpoint
    }

    fn records(&self) -> Vec<Record> {
        metrics::read(&self.0).unwrap()
    }

    /// Runs `epochs` of 5 steps until `stop_after` steps of this run.
    fn run(&self, learner: Fake, points: &Points, epochs: u64, stop_after: u64) -> Result<End, RunError> {
        let settings =
            format!("[net]\nepochs = {epochs}\noptimizer.learning_rate = 0.05\n[net.schedule]\nkind = 'cosine'\n[run]\nlog_steps = 2");
        let config = TrainConfig::from_toml(&settings, "test").unwrap();
        let (stop, steps) = (AtomicBool::new(false), Cell::new(0));
        let folder = Folder::open(&self.0)?;
        let run = Run { net: "onet", learner, batches: points, config: &config, folder: &folder, others: None, stop: &stop };
        run.run(|event| {
            if matches!(event, Event::Step) {
                steps.set(steps.get() + 1);
                stop.store(steps.get() == stop_after, Ordering::Relaxed);
            }
        })
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn points() -> Points {
    Points { validation: 3, hash: "h".into(), broken: None }
}

/// Steps and losses of validation.
type Validations = Vec<(u64, Option<f64>)>;

/// What must not depend on interruptions.
fn essence(scratch: &RunFolder) -> (BTreeMap<String, Tensor>, Validations) {
    let validations = scratch.records().into_iter().filter(|record| record.kind == Kind::Validation);
    (scratch.newest().tensors, validations.map(|record| (record.step, record.loss)).collect())
}

#[test]
fn a_run_that_is_stopped_anywhere_and_resumed_equals_one_that_is_not() {
    let whole = RunFolder::new();
    assert_eq!(whole.run(Fake::new(), &points(), 4, 0).unwrap(), End::Finished);
    let want = essence(&whole);
    assert_eq!(want.1.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [5, 10, 15, 20]);
    // Steps 5, 10 and 15 end an epoch: its validation comes after the stop.
    for stop_after in [1, 4, 5, 6, 10, 13, 15, 19] {
        let parts = RunFolder::new();
        assert_eq!(parts.run(Fake::new(), &points(), 4, stop_after).unwrap(), End::Stopped, "{stop_after}");
        assert_eq!(parts.newest().progress.step, stop_after);
        assert_eq!(parts.run(Fake::new(), &points(), 4, 0).unwrap(), End::Finished, "{stop_after}");
        assert_eq!(essence(&parts), want, "{stop_after}");
        let steps: Vec<_> = parts.records().iter().map(|record| (record.step, record.kind)).collect();
        let mut once = steps.clone();
        once.dedup();
        assert_eq!(steps, once, "a step is there twice");
    }
}

#[test]
fn a_run_that_is_done_stays_done() {
    let scratch = RunFolder::new();
    for _ in 0..2 {
        assert_eq!(scratch.run(Fake::new(), &points(), 2, 0).unwrap(), End::Finished);
        assert_eq!(scratch.newest().progress.step, 10);
    }
    assert_eq!(scratch.run(Fake::new(), &points(), 3, 0).unwrap(), End::Finished);
    assert_eq!(scratch.newest().progress.step, 15);
}

#[test]
fn the_best_validation_is_kept_and_becomes_the_weights() {
    let scratch = RunFolder::new();
    scratch.run(Fake::new(), &points(), 4, 0).unwrap();
    let validations: Vec<_> = scratch.records().into_iter().filter(|record| record.kind == Kind::Validation).collect();
    let best = validations.iter().min_by(|a, b| a.loss.unwrap().total_cmp(&b.loss.unwrap())).unwrap();
    let kept = Checkpoint::load(&scratch.store().best()).unwrap();
    assert_eq!((Some(kept.progress.step), kept.progress.best_loss), (kept.progress.best_step, best.loss));
    assert_eq!(kept.progress.step, best.step);
    let weights = Weights::load(scratch.0.join("weights.safetensors")).unwrap();
    assert_eq!(weights.tensors()["onet.w"], kept.tensors["onet.w"]);
    assert_eq!(weights.names().count(), 1);
}

#[test]
fn what_is_not_a_number_stops_the_run_and_names_step_net_and_task() {
    let scratch = RunFolder::new();
    let error = scratch.run(Fake { nan_at: Some(13), ..Fake::new() }, &points(), 4, 0).unwrap_err().to_string();
    for needle in ["box", "step 13", "onet", "step-000000010.safetensors"] {
        assert!(error.contains(needle), "{error}");
    }
    assert_eq!(scratch.newest().progress.step, 10, "nothing is saved after it");
    // And from there the run goes on.
    assert_eq!(scratch.run(Fake::new(), &points(), 4, 0).unwrap(), End::Finished);
}

#[test]
fn a_lost_device_and_crops_that_cannot_be_read_are_errors_that_leave_the_last_checkpoint() {
    let scratch = RunFolder::new();
    let error = scratch.run(Fake { lost_at: Some(7), ..Fake::new() }, &points(), 4, 0).unwrap_err();
    assert!(error.to_string().contains("onet") && error.source().unwrap().to_string().contains("unplugged"), "{error}");
    assert_eq!(scratch.newest().progress.step, 5);
    let error = scratch.run(Fake::new(), &Points { broken: Some(12), ..points() }, 4, 0).unwrap_err();
    assert!(error.source().unwrap().to_string().contains("shard.bin"), "{error}");
    assert_eq!(scratch.newest().progress.step, 10);
    assert_eq!(scratch.run(Fake::new(), &points(), 4, 0).unwrap(), End::Finished);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_told() {
    let scratch = RunFolder::new();
    scratch.run(Fake::new(), &points(), 4, 12).unwrap();
    let path = scratch.store().newest_path().unwrap();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let config = TrainConfig::from_toml("[net]\nepochs = 4\noptimizer.learning_rate = 0.05", "test").unwrap();
    let folder = Folder::open(&scratch.0).unwrap();
    let (stop, points) = (AtomicBool::new(false), points());
    let run = Run { net: "onet", learner: Fake::new(), batches: &points, config: &config, folder: &folder, others: None, stop: &stop };
    let mut told = Vec::new();
    let end = run.run(|event| match event {
        Event::Unreadable(error) => told.push(error.to_string()),
        Event::Begin { step, .. } => told.push(step.to_string()),
        _ => {}
    });
    assert_eq!(end.unwrap(), End::Finished);
    assert!(told[0].contains("step-000000012") && told[1] == "10", "{told:?}");
}

#[test]
fn other_crops_another_seed_and_a_second_process_are_refused() {
    let scratch = RunFolder::new();
    scratch.run(Fake::new(), &points(), 2, 3).unwrap();
    let error = scratch.run(Fake::new(), &Points { hash: "other".into(), ..points() }, 2, 0).unwrap_err().to_string();
    assert!(error.contains("crops") && error.contains("other"), "{error}");
    let held = Folder::open(&scratch.0).unwrap();
    assert!(matches!(scratch.run(Fake::new(), &points(), 2, 0), Err(RunError::Locked { .. })));
    drop(held);
    fs::write(scratch.0.join("file"), b"").unwrap();
    assert!(matches!(Folder::open(&scratch.0.join("file")), Err(RunError::Folder { .. })));
}

#[test]
fn a_run_without_validation_keeps_the_last_weights() {
    let scratch = RunFolder::new();
    scratch.run(Fake::new(), &Points { validation: 0, ..points() }, 2, 0).unwrap();
    assert!(scratch.records().iter().all(|record| record.kind == Kind::Train));
    let weights = Weights::load(scratch.0.join("weights.safetensors")).unwrap();
    assert_eq!(weights.tensors()["onet.w"], scratch.newest().tensors["onet.w"]);
}
