//! Cross entropy of each sample.

use super::{Kind, Task, sample_kinds};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `loss[n] = -(y ln p + (1 - y) ln(1 - p))`, `p` the softmax of two logits, for samples that have the task (spec section 4.3).
    ///
    /// Reads `y: [n, outputs]`, of which background and face logit come first, and `kinds: [n]`; writes row 0 of `losses: [3, n]`.
    pub struct CrossEntropy { n: u32, outputs: u32 }
}

impl CrossEntropy {
    /// Of `n` samples with `outputs` outputs each.
    pub fn new(n: u32, outputs: u32) -> Self {
        Self { n, outputs }
    }
}

/// By how much the logit of the right class is above the other.
pub(super) fn margin(y: &[f32], kind: f32) -> f64 {
    let difference = f64::from(y[1]) - f64::from(y[0]);
    if Kind(kind.to_bits()).is_face() { difference } else { -difference }
}

impl Kernel for CrossEntropy {
    const NAME: &'static str = "cross_entropy";
    const WGSL: &'static [&'static str] = wgsl!("train/cross_entropy");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let n = self.n as usize;
        vec![n * self.outputs as usize, n, 3 * n]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let samples = read[0].chunks_exact(self.outputs as usize).zip(read[1]).zip(write[0].iter_mut());
        for ((y, kind), loss) in samples.take(self.n as usize) {
            let margin = margin(y, *kind);
            let cross_entropy = (-margin).max(0.0) + (-margin.abs()).exp().ln_1p();
            // `max` would drop a NaN.
            let cross_entropy = if margin.is_nan() { margin } else { cross_entropy };
            *loss = if Kind(kind.to_bits()).has(Task::Class) { cross_entropy as f32 } else { 0.0 };
        }
    }

    /// WGSL allows `log` 2^-21 near 1, `exp` of x 3 + 2|x| ulp, which is under 4 ε for x < 0.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        4.8e-7 + (4.0 + 4.0 * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for CrossEntropy {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 6), (65, 16), (300, 6)]
            .map(|(n, outputs)| {
                let y = noise((n * outputs) as usize, 1).iter().map(|v| v * 20.0).collect();
                Sample { kernel: Self::new(n, outputs), read: vec![y, sample_kinds(n as usize)] }
            })
            .to_vec()
    }
}
