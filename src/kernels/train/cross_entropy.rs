//! Cross entropy of each sample.

use super::{LossTask, SampleBits, sample_faces, sample_kinds};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `loss[n] = t ln(t / p) + (1 - t) ln((1 - t) / (1 - p))`, `p` the softmax of two logits, for samples that have the task: the cross entropy
    /// (spec section 4.3) where `t` is 0 or 1. Between them, by a teacher, it is the relative entropy, so that a sample learned to the full has
    /// no loss and is not mined.
    ///
    /// Reads `y: [n, outputs]`, of which background and face logit come first, `kinds: [n]` and `t` as `faces: [n]`; writes row 0 of
    /// `figures: [rows, n]`, and row `right`: 1 for samples told right, 0 for others and for those without the task.
    pub struct CrossEntropy { n: u32, outputs: u32, right: u32 }
}

impl CrossEntropy {
    /// Of `n` samples with `outputs` outputs each; who is told right goes to row `right`.
    pub fn new(n: u32, outputs: u32, right: u32) -> Self {
        Self { n, outputs, right }
    }
}

/// By how much the logit of a face is above that of background.
pub(super) fn difference(y: &[f32]) -> f64 {
    f64::from(y[1]) - f64::from(y[0])
}

impl Kernel for CrossEntropy {
    const NAME: &'static str = "cross_entropy";
    const WGSL: &'static [&'static str] = wgsl!("train/cross_entropy");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let n = self.n as usize;
        vec![n * self.outputs as usize, n, n, (self.right as usize + 1) * n]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let entropy = |t: f64| if t > 0.0 { t * t.ln() } else { 0.0 };
        let (losses, right) = write[0].split_at_mut((self.right * self.n) as usize);
        let samples = read[0].chunks_exact(self.outputs as usize).zip(read[1]).zip(read[2]).zip(losses).zip(right);
        for ((((y, kind), t), loss), right) in samples.take(self.n as usize) {
            let (d, t) = (difference(y), f64::from(*t));
            // `max` would drop a NaN.
            let above = |d: f64| if d < 0.0 { 0.0 } else { d };
            let all = (-d.abs()).exp().ln_1p() + t * above(-d) + (1.0 - t) * above(d) + entropy(t) + entropy(1.0 - t);
            let kind = SampleBits(kind.to_bits());
            *loss = if kind.has(LossTask::Class) { all as f32 } else { 0.0 };
            *right = f32::from(u8::from(kind.has(LossTask::Class) && (d > 0.0) == kind.is_face()));
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let entropy = |t: f32| if t > 0.0 { t * t.ln() } else { 0.0 };
        let (losses, right) = write[0].split_at_mut((self.right * self.n) as usize);
        let samples = read[0].chunks_exact(self.outputs as usize).zip(read[1]).zip(read[2]).zip(losses).zip(right);
        for ((((y, kind), t), loss), right) in samples.take(self.n as usize) {
            (*loss, *right) = (0.0, 0.0);
            let kind = SampleBits(kind.to_bits());
            if kind.has(LossTask::Class) {
                let (d, t) = (y[1] - y[0], *t);
                // What the wrong class takes of the difference; a NaN stays.
                let wrong = if d > 0.0 { (1.0 - t) * d } else { -t * d };
                *loss = (-d.abs()).exp().ln_1p() + wrong + entropy(t) + entropy(1.0 - t);
                *right = f32::from(u8::from((d > 0.0) == kind.is_face()));
            }
        }
    }

    /// WGSL allows `log` 2^-21 near 1, `exp` of x 3 + 2|x| ulp, which is under 4 ε for x < 0; there are three logarithms.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        3.0 * 4.8e-7 + (8.0 + 4.0 * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for CrossEntropy {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 6, 1), (65, 16, 3), (300, 6, 2)]
            .map(|(n, outputs, right)| {
                let y = noise((n * outputs) as usize, 1).iter().map(|v| v * 20.0).collect();
                Sample { kernel: Self::new(n, outputs, right), read: vec![y, sample_kinds(n as usize), sample_faces(n as usize)] }
            })
            .to_vec()
    }
}
