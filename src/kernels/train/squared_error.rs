//! Squared error of each sample.

use super::{LossTask, SampleBits, TARGETS, sample_kinds};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `loss[n] = Σ_k (y[n, first + k] - target[n, k])²` for samples that have the task (spec section 4.3).
    ///
    /// Reads `y: [n, outputs]`, `kinds: [n]` and `targets: [n, 14]`; writes the task's row of `figures: [rows, n]`.
    pub struct SquaredError { n: u32, outputs: u32, first: u32, count: u32, target_first: u32, task: u32 }
}

impl SquaredError {
    /// Of `n` samples with `outputs` outputs each, those of `task` from `first` on.
    pub fn new(task: LossTask, n: u32, outputs: u32, first: u32) -> Self {
        let (target_first, count) = task.targets();
        Self { n, outputs, first, count, target_first, task: task.index() }
    }
}

/// Outputs and targets of one sample.
pub(super) fn pairs<'a>(y: &'a [f32], targets: &'a [f32], first: u32, target_first: u32, count: u32) -> impl Iterator<Item = f64> + 'a {
    let (y, targets) = (&y[first as usize..][..count as usize], &targets[target_first as usize..]);
    y.iter().zip(targets).map(|(y, target)| f64::from(*y) - f64::from(*target))
}

impl Kernel for SquaredError {
    const NAME: &'static str = "squared_error";
    const WGSL: &'static [&'static str] = wgsl!("train/squared_error");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let n = self.n as usize;
        vec![n * self.outputs as usize, n, n * TARGETS, (self.task as usize + 1) * n]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for n in 0..self.n as usize {
            let (y, targets) = (&read[0][n * self.outputs as usize..], &read[2][n * TARGETS..]);
            let sum: f64 = pairs(y, targets, self.first, self.target_first, self.count).map(|difference| difference * difference).sum();
            let has = SampleBits(read[1][n].to_bits()).0 >> self.task & 1 != 0;
            write[0][(self.task * self.n) as usize + n] = if has { sum as f32 } else { 0.0 };
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (first, at, count) = (self.first as usize, self.target_first as usize, self.count as usize);
        let samples = read[0].chunks_exact(self.outputs as usize).zip(read[2].chunks_exact(TARGETS)).zip(read[1]);
        let losses = &mut write[0][(self.task * self.n) as usize..][..self.n as usize];
        for (((y, targets), kind), loss) in samples.zip(losses) {
            let squares = y[first..][..count].iter().zip(&targets[at..]).map(|(y, target)| (y - target) * (y - target));
            *loss = if kind.to_bits() >> self.task & 1 != 0 { squares.sum() } else { 0.0 };
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        4.0 * self.count as f32 * (largest(read[0]) + largest(read[2])).powi(2) * f32::EPSILON
    }
}

impl Samples for SquaredError {
    fn samples() -> Vec<Sample<Self>> {
        [(LossTask::Box, 1, 6, 2), (LossTask::Box, 65, 16, 2), (LossTask::Landmarks, 300, 16, 6)]
            .map(|(task, n, outputs, first)| {
                let (y, targets) = (noise((n * outputs) as usize, 1), noise(n as usize * TARGETS, 2));
                Sample { kernel: Self::new(task, n, outputs, first), read: vec![y, sample_kinds(n as usize), targets] }
            })
            .to_vec()
    }
}
