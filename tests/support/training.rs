//! Training on any engine against `tests/fixtures/golden_training.json`. `tools/golden_training.py` writes
//! the file with PyTorch and documents how weights and samples are made.

use std::collections::BTreeMap;

use mtcmcn::doctor::noise_weights;
use mtcmcn::engine::compare::replay;
use mtcmcn::kernels::train::{SampleBits, TARGETS};
use mtcmcn::nets::rivals::{NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24};
use mtcmcn::nets::{Net, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use mtcmcn::tensor::{Tensor, noise};
use mtcmcn::train::{Batch, Meters, NetRecipe, Objective, Optimizer, TrainError};

type Trainer = mtcmcn::train::Trainer<NetRecipe>;
use mtcmcn::{Engine, Weights};
use serde_json::Value;

use crate::backward::{close, gradients};

pub const NETS: [Net; 3] = [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET];

/// The rival nets of Table 1, each with its own weights.
pub const RIVALS: [Net; 3] = [NET12, NET24, NET48];

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/golden_training.json")).expect("the fixture is JSON")
}

/// The rival nets with a branch.
const BRANCHED: [Net; 2] = [NET24_WITH_12, NET48_WITH_24];

/// Creates noise weights, with landmark heads for P-Net and R-Net too.
pub fn weights() -> Weights {
    let mut tensors = noise_weights().tensors().clone();
    for (net, inputs, seed) in [("pnet", 32_usize, 101), ("rnet", 128, 103)] {
        let scale = (3.0 / inputs as f64).sqrt() as f32;
        let window: &[usize] = if net == "pnet" { &[1, 1] } else { &[] };
        let scaled = |len: usize, seed: u64, scale: f32| noise(len, seed).iter().map(|v| v * scale).collect();
        let weight = Tensor { shape: [&[10, inputs], window].concat(), data: scaled(10 * inputs, seed, scale) };
        let bias = Tensor { shape: vec![10], data: scaled(10, seed + 1, 0.125) };
        tensors.insert(format!("{net}.landmarks.weight"), weight);
        tensors.insert(format!("{net}.landmarks.bias"), bias);
    }
    Weights::new(tensors, BTreeMap::new()).expect("every tensor has its shape's elements")
}

/// Creates the weights of `net` for all golden numbers.
fn weights_of(net: Net) -> Weights {
    if RIVALS.contains(&net) || BRANCHED.contains(&net) { net.noise_weights().expect("a valid net") } else { weights() }
}

/// Checks losses and gradient norms of all nets.
pub fn check_gradients(engine: &Engine) {
    let fixture = fixture();
    for net in NETS.into_iter().chain(RIVALS) {
        let (want, got) = (&fixture["gradients"][net.name], gradients(engine, net, &weights_of(net)));
        for (got, want) in got.losses.iter().zip(want["losses"].as_array().expect("losses")) {
            close(&format!("a loss of {} on {}", net.name, engine.name()), *got, want.as_f64().expect("a number"));
        }
        let norms = want["norms"].as_object().expect("norms");
        assert_eq!(got.norms.len(), norms.len(), "tensors of {}", net.name);
        for (name, want) in norms {
            close(&format!("gradient of {name} on {}", engine.name()), got.norms[name], want.as_f64().expect("a number"));
        }
    }
}

/// Creates the samples of golden step `step`.
pub fn batch(net: Net, n: u32, step: u64) -> Batch {
    let plane = (net.side * net.side) as usize;
    let mut batch = Batch::empty(n, net.side);
    let bytes: Vec<u8> = noise(n as usize * 3 * plane, 1000 + step).iter().map(|v| ((v + 1.0) * 128.0) as u8).collect();
    for (i, byte) in bytes.into_iter().enumerate() {
        let (item, channel, pixel) = (i / (3 * plane), i / plane % 3, i % plane);
        batch.rgba[(item * plane + pixel) * 4 + channel] = byte;
    }
    let kinds = [SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::PART, SampleBits::LANDMARKS];
    (0..n as usize).for_each(|i| batch.label(i, kinds[i % 4]));
    batch.targets = noise(n as usize * TARGETS, 2000 + step).iter().map(|v| v / 4.0).collect();
    batch
}

/// Creates a trainer with noise weights and the paper's settings, except for dropout.
pub fn trainer(engine: &Engine, net: Net, n: u32, dropout: f64) -> Trainer {
    let objective = Objective { dropout, ..Objective::of(net) };
    Trainer::new(engine, NetRecipe::new(net, n, objective, Optimizer::default()), weights_of(net).tensors(), 7).expect("the weights fit")
}

/// Returns the weighted sum of the tasks' mean losses, which is minimised.
fn total(net: Net, meters: &Meters) -> f64 {
    let weights = ["class", "box", "landmarks"].into_iter().zip(Objective::of(net).weights.map(f64::from));
    meters.total(weights).expect("some task has samples")
}

/// Checks ten steps of each net.
pub fn check_runs(engine: &Engine) {
    let fixture = fixture();
    for net in NETS {
        let mut trainer = trainer(engine, net, 12, 0.0);
        (0..10).for_each(|step| trainer.step(&batch(net, 12, step), 1e-3).expect("a step"));
        let reports = trainer.reports().expect("losses");
        let want = fixture["runs"][net.name].as_array().expect("ten losses");
        assert_eq!((reports.len(), want.len()), (10, 10));
        for (step, (report, want)) in reports.iter().zip(want).enumerate() {
            assert_eq!(report.step as usize, step);
            let what = format!("step {step} of {} on {}", net.name, engine.name());
            close(&what, total(net, &report.meters), want.as_f64().expect("a number"));
        }
    }
}

/// Compares every step of a recording with its twin, including dropout.
pub fn check_steps(engine: &Engine) {
    for net in NETS.into_iter().chain(RIVALS).chain(BRANCHED) {
        let mut trainer = trainer(engine, net, 5, 0.25);
        trainer.step(&batch(net, 5, 3), 1e-3).expect("a step");
        trainer.reports().expect("it is over");
        let result = replay(trainer.session()).expect("it plays");
        assert_eq!(result.first, None, "{} on {}", net.name, engine.name());
        assert!(result.steps > 30, "{} steps", result.steps);
    }
}

/// Returns parameters and moments, for bitwise comparison.
fn state(trainer: &Trainer) -> Vec<(String, Vec<u32>)> {
    let states = trainer.states().expect("states").into_iter();
    states.map(|(name, tensor)| (name, tensor.data.iter().map(|v| v.to_bits()).collect())).collect()
}

/// Checks that two identical runs, and a run that is interrupted after ten of twenty steps, end with the same
/// bits.
pub fn check_bits(engine: &Engine) {
    let net = RNET_WITH_LANDMARKS;
    let run = |trainer: &mut Trainer, steps: std::ops::Range<u64>| {
        steps.for_each(|step| trainer.step(&batch(net, 12, step), 1e-3).expect("a step"));
    };
    let [mut first, mut second] = [(), ()].map(|()| trainer(engine, net, 12, 0.25));
    run(&mut first, 0..20);
    run(&mut second, 0..10);
    let states = second.states().expect("states");
    run(&mut second, 10..20);
    let want = state(&first);
    assert!(want.iter().all(|(_, bits)| !bits.is_empty()));
    assert_eq!(state(&second), want);
    let mut resumed = trainer(engine, net, 12, 0.25);
    resumed.restore(10, &states).expect("the states fit");
    run(&mut resumed, 10..20);
    assert_eq!(state(&resumed), want);
    assert_eq!(resumed.reports().expect("losses").len(), 10);
}

/// Checks that a loss or gradient that is not finite reports its step and leaves the parameters as they were
/// before it.
pub fn check_faults(engine: &Engine) {
    let net = PNET_WITH_LANDMARKS;
    let mut trainer = trainer(engine, net, 12, 0.0);
    trainer.step(&batch(net, 12, 0), 1e-3).expect("a step");
    assert_eq!(trainer.reports().expect("losses").len(), 1);
    let before = state(&trainer);
    let mut poisoned = batch(net, 12, 1);
    poisoned.targets[2 * TARGETS] = f32::NAN;
    trainer.step(&poisoned, 1e-3).expect("it is submitted");
    trainer.step(&batch(net, 12, 2), 1e-3).expect("it is submitted");
    let Err(TrainError::NotFinite { net: name, what, step }) = trainer.reports() else { panic!("no fault was found") };
    assert_eq!((name, what.as_str(), step), ("pnet", "box loss", 1));
    assert_eq!(state(&trainer), before);
    // The heads have tiny weights that reduce large features to normal size: losses are finite, but the
    // square of the heads' gradient is not.
    let mut tensors = weights().tensors().clone();
    let scales =
        [("conv3.weight", 1e25), ("conv3.bias", 1e25), ("class.weight", 1e-25), ("box.weight", 1e-25), ("landmarks.weight", 1e-25)];
    for (part, by) in scales {
        let tensor = tensors.get_mut(&format!("pnet.{part}")).expect("a tensor");
        tensor.data.iter_mut().for_each(|v| *v *= by);
    }
    let weights = Weights::new(tensors, BTreeMap::new()).expect("finite numbers");
    let mut trainer = Trainer::new(engine, NetRecipe::new(net, 12, Objective::of(net), Optimizer::default()), weights.tensors(), 7)
        .expect("the weights fit");
    let before = state(&trainer);
    let mut faces = batch(net, 12, 0);
    (0..12).for_each(|i| faces.label(i, SampleBits::POSITIVE));
    (0..2).for_each(|_| trainer.step(&faces, 1e-3).expect("it is submitted"));
    let Err(TrainError::NotFinite { what, step, .. }) = trainer.reports() else { panic!("no fault was found") };
    assert_eq!((what.as_str(), step), ("gradient of class.weight and box.weight and landmarks.weight (class, box)", 0));
    assert_eq!(state(&trainer), before);
}

/// Checks batches without a task, of one sample, and of no sample: each trains what it can.
pub fn check_thin_batches(engine: &Engine) {
    let net = PNET_WITH_LANDMARKS;
    for (kinds, kept) in [
        (vec![SampleBits::PART], [0, 1, 0]),
        (vec![SampleBits::NEGATIVE], [1, 0, 0]),
        (vec![SampleBits::NONE; 3], [0; 3]),
        (vec![SampleBits::POSITIVE; 10], [7, 10, 0]),
    ] {
        let n = kinds.len() as u32;
        let mut trainer = trainer(engine, net, n, 0.0);
        let mut batch = batch(net, n, 0);
        kinds.iter().enumerate().for_each(|(i, kind)| batch.label(i, *kind));
        trainer.step(&batch, 1e-3).expect("a step");
        let report = trainer.reports().expect("losses").remove(0);
        assert_eq!(["class", "box", "landmarks"].map(|task| report.meters.get(task).1), kept, "{kinds:?}");
        let zero = report.gradient_norm == 0.0;
        assert_eq!(zero, kept == [0; 3], "{kinds:?} on {}", engine.name());
    }
}

/// Checks that micro-batches mine the same samples and give the same losses as the whole batch, and that
/// repeating them gives the same bits.
pub fn check_micro_batches(engine: &Engine) {
    let (net, n) = (PNET_WITH_LANDMARKS, 512);
    let objective = Objective { dropout: 0.25, ..Objective::of(net) };
    let run = |micro_batch: u32| {
        let recipe = NetRecipe::new(net, n, objective, Optimizer::default()).in_micro_batches(micro_batch);
        let mut trainer = Trainer::new(engine, recipe, weights_of(net).tensors(), 7).expect("the weights fit");
        let mut mined = Vec::new();
        for step in 0..3 {
            trainer.step(&batch(net, n, step), 1e-3).expect("a step");
            let session = trainer.session();
            let scales = session.recording().slots().iter().position(|slot| slot.label == "scales of a step").expect("there are scales");
            let slot = session.recording().steps().iter().flat_map(|step| &step.slots).find(|slot| slot.index() == scales).copied();
            mined.push(session.peek(slot.expect("a step writes them")).expect("scales"));
        }
        let reports = trainer.reports().expect("losses");
        let (evaluated, states) = (trainer.evaluate(&batch(net, n, 9)).expect("losses"), state(&trainer));
        (mined, reports, evaluated, states)
    };
    let (whole, cut) = (run(n), run(128));
    assert_eq!(cut.0, whole.0, "other samples are mined");
    assert!(whole.0.iter().all(|scales| scales.contains(&0.0)), "nothing was mined");
    let near = |what: &str, got: &Meters, want: &Meters| {
        for task in ["class", "box", "landmarks", "accuracy"] {
            let ((got, count), (want, all)) = (got.get(task), want.get(task));
            assert_eq!(count, all, "{what}: samples with {task}");
            let within = (got - want).abs() <= 1e-5 * want.abs();
            assert!(within, "{what}: {task} is {got} in micro-batches, {want} at once");
        }
    };
    for (step, (got, want)) in cut.1.iter().zip(&whole.1).enumerate() {
        near(&format!("step {step}"), &got.meters, &want.meters);
    }
    near("validation", &cut.2, &whole.2);
    assert_eq!(run(128).3, cut.3, "the same cut ends in other bits");
}
