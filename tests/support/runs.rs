//! Training runs of real nets on made-up crops, on any engine.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use mtcmcn::Engine;
use mtcmcn::kernels::train::SampleBits as Sample;
use mtcmcn::tensor::{Tensor, noise};
use mtcmcn::train::Batch;
use mtcmcn::train::checkpoint::{Checkpoint, Checkpoints};
use mtcmcn::train::config::TrainConfig;
use mtcmcn::train::learner::NetLearner;
use mtcmcn::train::metrics::{self, Kind, Record};
use mtcmcn::train::run::{Batches, End, Event, Folder, Run, RunError};

/// Noise, brighter where it is a face. Batch and sample number decide everything.
pub struct Crops {
    pub side: u32,
    pub n: u32,
    pub per_epoch: u64,
    pub validation: u64,
    /// Taken in turn.
    pub kinds: Vec<Sample>,
}

impl Crops {
    /// Of all kinds, for P-Net.
    pub fn pnet(n: u32) -> Self {
        Self { side: 12, n, per_epoch: 10, validation: 2, kinds: vec![Sample::NEGATIVE, Sample::POSITIVE, Sample::PART, Sample::LANDMARKS] }
    }

    fn make(&self, number: u64) -> Batch {
        let mut batch = Batch::empty(self.n, self.side);
        let item = (self.side * self.side * 4) as usize;
        for i in 0..self.n as usize {
            let kind = self.kinds[(number as usize + i) % self.kinds.len()];
            let offset = if kind.is_face() { 150.0 } else { 100.0 };
            let pixels = noise(item, number << 16 | i as u64);
            for (byte, value) in batch.rgba[i * item..][..item].iter_mut().zip(pixels) {
                *byte = (offset + 90.0 * value) as u8;
            }
            batch.label(i, kind);
        }
        batch.targets = noise(batch.targets.len(), number).iter().map(|value| 0.5 * value).collect();
        batch
    }
}

impl Batches for Crops {
    type Batch = Batch;

    fn size(&self) -> u32 {
        self.n
    }

    fn per_epoch(&self) -> u64 {
        self.per_epoch
    }

    fn batch(&self, step: u64) -> Result<Batch, RunError> {
        Ok(self.make(step))
    }

    fn validation_batches(&self) -> u64 {
        self.validation
    }

    fn validation_batch(&self, index: u64) -> Result<Batch, RunError> {
        Ok(self.make(1_000_000 + index))
    }

    fn hash(&self) -> &str {
        "made up"
    }
}

/// A run's folder, which goes with the test.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("train-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    pub fn newest(&self) -> Checkpoint {
        Checkpoints::open(&self.0.join("checkpoints"), 3)
            .expect("a folder")
            .newest()
            .expect("they can be read")
            .expect("there is one")
            .checkpoint
    }

    pub fn records(&self) -> Vec<Record> {
        metrics::read(&self.0).expect("whole records")
    }

    /// Trains `net` until `stop_after` steps of this call, or to the end.
    pub fn train(&self, engine: &Engine, net: &str, crops: &Crops, settings: &str, stop_after: u64) -> Result<End, RunError> {
        let stop = AtomicBool::new(false);
        self.watched(engine, net, crops, settings, &stop, |steps| stop.store(steps == stop_after, Ordering::Relaxed))
    }

    /// Trains `net` and tells `after` after each step how many this call has done.
    pub fn watched(
        &self,
        engine: &Engine,
        net: &str,
        crops: &Crops,
        settings: &str,
        stop: &AtomicBool,
        after: impl Fn(u64),
    ) -> Result<End, RunError> {
        let config = TrainConfig::from_toml(settings, "test").expect("settings");
        let folder = Folder::open(&self.0)?;
        let steps = Cell::new(0);
        let learner = NetLearner::new(engine, net, &config, crops.n)?;
        let run = Run { net, learner, batches: crops, config: &config, folder: &folder, others: None, stop };
        run.run(|event| {
            if matches!(event, Event::Step) {
                steps.set(steps.get() + 1);
                after(steps.get());
            }
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bits of every tensor, so that NaN equals itself and 0 is not -0.
fn bits(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<&str, Vec<u32>> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.data.iter().map(|value| value.to_bits()).collect())).collect()
}

/// Steps and losses of validation, as bits.
fn validations(scratch: &Scratch) -> Vec<(u64, Option<u64>)> {
    let records = scratch.records().into_iter().filter(|record| record.kind == Kind::Validation);
    records.map(|record| (record.step, record.loss.map(f64::to_bits))).collect()
}

/// The same run twice, and one that is stopped at step 10 and resumed, end after 20 steps with equal bits.
pub fn resumed_equals_uninterrupted(engine: &Engine, net: &str, crops: &Crops, settings: &str) {
    let settings = format!("{settings}\nnet.epochs = 2");
    let runs = [Scratch::new(), Scratch::new(), Scratch::new()];
    for (run, stop_after) in runs.iter().zip([0, 0, 10]) {
        run.train(engine, net, crops, &settings, stop_after).expect("it trains");
    }
    assert_eq!(runs[2].newest().progress.step, 10);
    assert_eq!(runs[2].train(engine, net, crops, &settings, 0).expect("it goes on"), End::Finished);
    let ends = runs.each_ref().map(Scratch::newest);
    assert_eq!(ends[0].progress.step, 20);
    assert!(ends[0].tensors.keys().any(|name| name.starts_with("optimizer.m.")), "{:?}", ends[0].tensors.keys());
    for (run, end) in runs.iter().zip(&ends).skip(1) {
        assert_eq!(bits(&end.tensors), bits(&ends[0].tensors));
        assert_eq!(validations(run), validations(&runs[0]));
    }
    assert_eq!(validations(&runs[0]).len(), 2);
}
