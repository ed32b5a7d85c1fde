//! Adam and AdamW.

use rayon::prelude::*;

use super::{Status, StepInputs};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `m = β1 m + (1 - β1) g`, `v = β2 v + (1 - β2) g²`, `value -= rate (m / c1) / (√(v / c2) + ε)` (Kingma and Ba 2015, algorithm 1).
    ///
    /// Reads `gradient: [len]`, the step's [`StepInputs`] and the [`Status`], after a fault in which nothing is updated; updates `value`, `m`
    /// and `v`. Weight decay is added to the gradient, or if `decoupled` taken off the value (AdamW, Loshchilov and Hutter 2019).
    pub struct Adam { len: u32, beta1: f32, beta2: f32, epsilon: f32, decay: f32, decoupled: u32 }
}

impl Adam {
    /// Of `len` parameters, with decay rates of the moments and weight decay.
    pub fn new(len: u32, betas: [f64; 2], epsilon: f64, decay: f64, decoupled: bool) -> Self {
        let [beta1, beta2] = betas.map(|beta| beta as f32);
        Self { len, beta1, beta2, epsilon: epsilon as f32, decay: decay as f32, decoupled: u32::from(decoupled) }
    }
}

impl Kernel for Adam {
    const NAME: &'static str = "adam";
    const WGSL: &'static [&'static str] = wgsl!("train/adam", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] =
        &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::UPDATE, Binding::UPDATE, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        let len = self.len as usize;
        vec![len, StepInputs::WORDS, Status::WORDS, len, len, len]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (schedule, [value, m, v]) = (StepInputs::read(read[1]), write) else { unreachable!("checked when recorded") };
        if Status::read(read[2]).fault != 0 {
            return;
        }
        let wide = f64::from;
        let (rate, decay) = (wide(schedule.rate), wide(self.decay));
        for i in 0..self.len as usize {
            let (mut x, mut g) = (wide(value[i]), wide(read[0][i]));
            if self.decoupled != 0 {
                x -= rate * decay * x;
            } else {
                g += decay * x;
            }
            let first = wide(self.beta1) * wide(m[i]) + wide(1.0 - self.beta1) * g;
            let second = wide(self.beta2) * wide(v[i]) + wide(1.0 - self.beta2) * g * g;
            let step = first / wide(schedule.correction1) / ((second / wide(schedule.correction2)).sqrt() + wide(self.epsilon));
            (value[i], m[i], v[i]) = ((x - rate * step) as f32, first as f32, second as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (schedule, [value, m, v]) = (StepInputs::read(read[1]), write) else { unreachable!("checked when recorded") };
        if Status::read(read[2]).fault != 0 {
            return;
        }
        let StepInputs { rate, correction1, correction2, .. } = schedule;
        let parameters = value.par_iter_mut().zip(m.par_iter_mut()).zip(v.par_iter_mut()).zip(read[0].par_iter());
        parameters.take(self.len as usize).with_min_len(1 << 14).for_each(|(((value, m), v), g)| {
            let (mut x, mut g) = (*value, *g);
            if self.decoupled != 0 {
                x -= rate * self.decay * x;
            } else {
                g += self.decay * x;
            }
            *m = self.beta1 * *m + (1.0 - self.beta1) * g;
            *v = self.beta2 * *v + (1.0 - self.beta2) * g * g;
            *value = x - rate * (*m / correction1) / ((*v / correction2).sqrt() + self.epsilon);
        });
    }

    /// Moments sum three terms of at most 1. Of the step, numerator and denominator err by some ε of 1 and the samples' smallest √v is
    /// 0.1; in training |m| is of the size of √v, so that the step errs by less.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let schedule = StepInputs::read(read[1]);
        (8.0 + 90.0 * schedule.rate / schedule.correction1) * f32::EPSILON
    }
}

/// [`StepInputs`], status and moments for samples of optimizers.
pub(super) fn sample_state(len: usize, fault: bool) -> Vec<Vec<f32>> {
    let schedule = StepInputs::new(3, 0, 0.01, [0.9, 0.999]).words();
    let second = noise(len, 5).iter().map(|v| 0.01 + 0.99 * v.abs()).collect();
    vec![noise(len, 1), schedule, words([u32::from(fault), 0, 0, 0]), noise(len, 3), noise(len, 4), second]
}

impl Samples for Adam {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 0.0, false, false), (65, 0.01, false, false), (5000, 0.01, true, false), (64, 0.0, false, true)]
            .map(|(len, decay, decoupled, fault)| Sample {
                kernel: Self::new(len, [0.9, 0.999], 1e-8, decay, decoupled),
                read: sample_state(len as usize, fault),
            })
            .to_vec()
    }
}
