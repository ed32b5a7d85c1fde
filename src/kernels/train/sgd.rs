//! Stochastic gradient descent with momentum.

use rayon::prelude::*;

use super::adam::sample_state;
use super::{Status, StepInputs};
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `m = momentum m + g + decay value`, `value -= rate m`, as PyTorch does it.
    ///
    /// Reads `gradient: [len]`, the step's [`StepInputs`] and the [`Status`], after a fault in which nothing is updated; updates `value` and `m`.
    pub struct Sgd { len: u32, momentum: f32, decay: f32 }
}

impl Sgd {
    /// Of `len` parameters.
    pub fn new(len: u32, momentum: f64, decay: f64) -> Self {
        Self { len, momentum: momentum as f32, decay: decay as f32 }
    }
}

impl Kernel for Sgd {
    const NAME: &'static str = "sgd";
    const WGSL: &'static [&'static str] = wgsl!("train/sgd", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::UPDATE, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        let len = self.len as usize;
        vec![len, StepInputs::WORDS, Status::WORDS, len, len]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        if Status::read(read[2]).fault != 0 {
            return;
        }
        let (wide, rate) = (f64::from, f64::from(StepInputs::read(read[1]).rate));
        let [value, m] = write else { unreachable!("checked when recorded") };
        for ((x, m), g) in value.iter_mut().zip(m.iter_mut()).zip(read[0]).take(self.len as usize) {
            let velocity = wide(self.momentum) * wide(*m) + wide(*g) + wide(self.decay) * wide(*x);
            (*x, *m) = ((wide(*x) - rate * velocity) as f32, velocity as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        if Status::read(read[2]).fault != 0 {
            return;
        }
        let (rate, len) = (StepInputs::read(read[1]).rate, self.len as usize);
        let [value, m] = write else { unreachable!("checked when recorded") };
        let blocks = value[..len].par_chunks_mut(BLOCK).zip(m[..len].par_chunks_mut(BLOCK)).zip(read[0].par_chunks(BLOCK));
        blocks.for_each(|((value, m), gradient)| {
            for ((x, m), g) in value.iter_mut().zip(m).zip(gradient) {
                let velocity = self.momentum * *m + g + self.decay * *x;
                (*x, *m) = (*x - rate * velocity, velocity);
            }
        });
    }

    /// Values and velocities of at most a few, three terms each.
    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        12.0 * f32::EPSILON
    }
}

impl Samples for Sgd {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 0.0, false), (65, 0.01, false), (5000, 0.0, false), (64, 0.0, true), (65_535 * 64 + 9, 0.0, false)]
            .map(|(len, decay, fault)| {
                let mut read = sample_state(len as usize, fault);
                read.truncate(5);
                Sample { kernel: Self::new(len, 0.9, decay), read }
            })
            .to_vec()
    }
}
