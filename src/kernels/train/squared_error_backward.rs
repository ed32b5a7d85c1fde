//! Gradient of the squared error.

use super::squared_error::pairs;
use super::{LossTask, TARGETS};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `dy[n, first + k] += 2 scale[n] (y[n, first + k] - target[n, k])` (spec section 4.4).
    ///
    /// Reads `y: [n, outputs]`, `targets: [n, 14]` and the task's row of `scales: [rows, n]`; adds to `dy: [n, outputs]`. A scale of 0 adds
    /// nothing at all.
    pub struct SquaredErrorBackward { n: u32, outputs: u32, first: u32, count: u32, target_first: u32, task: u32 }
}

impl SquaredErrorBackward {
    /// Of `n` samples with `outputs` outputs each, those of `task` from `first` on.
    pub fn new(task: LossTask, n: u32, outputs: u32, first: u32) -> Self {
        let (target_first, count) = task.targets();
        Self { n, outputs, first, count, target_first, task: task.index() }
    }
}

impl Kernel for SquaredErrorBackward {
    const NAME: &'static str = "squared_error_backward";
    const WGSL: &'static [&'static str] = wgsl!("train/squared_error_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let (n, y) = (self.n as usize, (self.n * self.outputs) as usize);
        vec![y, n * TARGETS, (self.task as usize + 1) * n, y]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for n in 0..self.n as usize {
            let scale = read[2][(self.task * self.n) as usize + n];
            if scale == 0.0 {
                continue;
            }
            let (at, targets) = (n * self.outputs as usize, &read[1][n * TARGETS..]);
            let differences = pairs(&read[0][at..], targets, self.first, self.target_first, self.count);
            for (dy, difference) in write[0][at + self.first as usize..].iter_mut().zip(differences) {
                *dy = (f64::from(*dy) + 2.0 * f64::from(scale) * difference) as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (first, at, count, outputs) = (self.first as usize, self.target_first as usize, self.count as usize, self.outputs as usize);
        let scales = &read[2][(self.task * self.n) as usize..][..self.n as usize];
        let samples = read[0].chunks_exact(outputs).zip(read[1].chunks_exact(TARGETS)).zip(write[0].chunks_exact_mut(outputs));
        for (((y, targets), dy), scale) in samples.zip(scales).filter(|(_, scale)| **scale != 0.0) {
            let pairs = y[first..][..count].iter().zip(&targets[at..]);
            dy[first..].iter_mut().zip(pairs).for_each(|(dy, (y, target))| *dy += 2.0 * scale * (y - target));
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + 8.0 * largest(read[2]) * (largest(read[0]) + largest(read[1]))) * f32::EPSILON
    }
}

impl Samples for SquaredErrorBackward {
    fn samples() -> Vec<Sample<Self>> {
        [(LossTask::Box, 1, 6, 2), (LossTask::Box, 65, 16, 2), (LossTask::Landmarks, 300, 16, 6)]
            .map(|(task, n, outputs, first)| {
                let (y, targets) = (noise((n * outputs) as usize, 1), noise(n as usize * TARGETS, 2));
                let scales = noise(3 * n as usize, 3).iter().map(|v| v.max(0.0)).collect();
                Sample { kernel: Self::new(task, n, outputs, first), read: vec![y, targets, scales] }
            })
            .to_vec()
    }
}
