//! A forward and a backward pass over the golden input, on any engine (spec section 2.5).

use std::collections::BTreeMap;

use mtcmcn::kernels::train::{CrossEntropy, CrossEntropyBackward, LossTask, Mine, SquaredError, SquaredErrorBackward, StepInputs, TARGETS};
use mtcmcn::nets::Net;
use mtcmcn::record::Recording;
use mtcmcn::tensor::Extent;
use mtcmcn::{Engine, Weights};

/// What the golden numbers may be missed by, relative.
const RELATIVE: f64 = 1e-4;

/// `v(c,y,x) = (((7c + 3y + 5x) mod 17) - 8) / 8`.
pub fn input(Extent { h, w }: Extent) -> Vec<f32> {
    let plane = |c: u32| (0..h).flat_map(move |y| (0..w).map(move |x| ((7 * c + 3 * y + 5 * x) % 17) as f32));
    (0..3).flat_map(plane).map(|v| (v - 8.0) / 8.0).collect()
}

/// Mean losses per task, and the L2 norm of the gradient of each tensor.
pub struct Gradients {
    pub losses: Vec<f64>,
    pub norms: BTreeMap<String, f64>,
}

fn norm(data: &[f32]) -> f64 {
    data.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt()
}

/// Forward and backward pass over the golden input and its negative, label 1 and 0, box targets 0.1, landmark targets 0.5, all kept.
pub fn gradients(engine: &Engine, net: Net, weights: &Weights) -> Gradients {
    let (n, outputs) = (2, net.outputs());
    let mut recording = Recording::new();
    let mut slot = |label: &str, len: u32| recording.slot(label, len as usize);
    let (x, targets) = (slot("x", 3 * n * net.side * net.side), slot("targets", n * TARGETS as u32));
    let (kinds, faces) = (slot("kinds", n), slot("faces", n));
    let (losses, scales, schedule) = (slot("losses", 3 * n), slot("scales", 3 * n), slot("schedule", StepInputs::WORDS as u32));
    let training = net.training(&mut recording, weights, x, n, 0.0, schedule).expect("the weights fit");
    let (y, dy) = training.output();
    training.clear(&mut recording);
    let tasks = [(LossTask::Class, 0, 1.0), (LossTask::Box, 2, 0.5), (LossTask::Landmarks, 6, 1.0)];
    let tasks = &tasks[..net.heads().len()];
    for &(task, first, weight) in tasks {
        if task == LossTask::Class {
            recording.push(CrossEntropy::new(n, outputs), &[y, kinds, faces, losses]);
            recording.push(Mine::new(task, n, 1.0, weight), &[losses, kinds, scales]);
            recording.push(CrossEntropyBackward::new(n, outputs), &[y, faces, scales, dy]);
        } else {
            recording.push(SquaredError::new(task, n, outputs, first), &[y, kinds, targets, losses]);
            recording.push(Mine::new(task, n, 1.0, weight), &[losses, kinds, scales]);
            recording.push(SquaredErrorBackward::new(task, n, outputs, first), &[y, targets, scales, dy]);
        }
    }
    training.backward(&mut recording, engine.facts().parallelism()).expect("recorded forward");
    let mut session = engine.load(recording).expect("it loads");
    for (slot, data) in training.initial() {
        session.write(slot, bytemuck::cast_slice(data));
    }
    let v = input(Extent { h: net.side, w: net.side });
    let both: Vec<f32> = v.iter().copied().chain(v.iter().map(|v| -v)).collect();
    session.write(x, bytemuck::cast_slice(&both));
    session.write(kinds, bytemuck::cast_slice(&[15_u32, 7]));
    session.write(faces, bytemuck::cast_slice(&[1.0_f32, 0.0]));
    let target: Vec<f32> = (0..TARGETS).map(|i| if i < 4 { 0.1 } else { 0.5 }).collect();
    session.write(targets, bytemuck::cast_slice(&[target.clone(), target].concat()));
    session.play().expect("it plays");
    let found = session.peek(losses).expect("losses");
    let contents: Vec<Vec<f32>> = training.parameters().iter().map(|p| session.peek(p.gradient).expect("a gradient")).collect();
    Gradients {
        losses: found.chunks_exact(2).take(tasks.len()).map(|loss| f64::from(loss[0] + loss[1]) / 2.0).collect(),
        norms: training.unpack(&contents).iter().map(|(name, tensor)| (name.clone(), norm(&tensor.data))).collect(),
    }
}

/// Fails unless `got` is `want` but for a ten-thousandth; a NaN is not.
pub fn close(what: &str, got: f64, want: f64) {
    let within = (got - want).abs() <= RELATIVE * want.abs();
    assert!(within, "{what}: got {got}, want {want}");
}
