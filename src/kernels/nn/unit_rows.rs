//! Rows of length one.

use rayon::prelude::*;

use crate::kernels::together::{BLOCK, sum_of};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y[n] = x[n] / max(|x[n]|, ε)`: embeddings and class weights whose products are cosines.
    ///
    /// Reads `x: [n, c]`; writes `y: [n, c]`. Backward is [`UnitRowsBackward`](super::UnitRowsBackward).
    pub struct UnitRows { n: u32, c: u32, epsilon: f32 }
}

impl UnitRows {
    /// Of `n` rows of `c` elements; shorter ones than `epsilon` stay short.
    pub fn new(n: u32, c: u32, epsilon: f64) -> Self {
        Self { n, c, epsilon: epsilon as f32 }
    }
}

impl Kernel for UnitRows {
    const NAME: &'static str = "unit_rows";
    const WGSL: &'static [&'static str] = wgsl!("nn/unit_rows", "shared/grid", "shared/total");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * 64)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.c) as usize; 2]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let c = self.c as usize;
        for (x, y) in read[0].chunks_exact(c).zip(write[0].chunks_exact_mut(c)).take(self.n as usize) {
            let norm = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt().max(f64::from(self.epsilon));
            x.iter().zip(y).for_each(|(x, y)| *y = (f64::from(*x) / norm) as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let c = self.c as usize;
        let rows = read[0].par_chunks_exact(c).zip(write[0].par_chunks_exact_mut(c)).take(self.n as usize);
        rows.with_min_len((BLOCK / c).max(1)).for_each(|(x, y)| {
            let factor = 1.0 / sum_of(c, |i| x[i] * x[i]).sqrt().max(self.epsilon);
            x.iter().zip(y).for_each(|(x, y)| *y = x * factor);
        });
    }

    /// Results are at most 1. The sum of squares has one sign and errs by as many ε/2 as it has terms one
    /// after the other, its root by half of that; root, quotient and product by six more.
    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        (self.c.div_ceil(16) as f32 / 2.0 + 16.0) * f32::EPSILON
    }
}

/// Rows for samples: noise, and a short one.
pub(super) fn rows(n: u32, c: u32) -> Vec<f32> {
    let mut x = noise((n * c) as usize, 1);
    x.iter_mut().take(c as usize).for_each(|x| *x *= 1e-3);
    x
}

impl Samples for UnitRows {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1e-2), (3, 5, 1e-2), (70, 512, 1e-12), (9, 1000, 0.1)]
            .map(|(n, c, epsilon)| Sample { kernel: Self::new(n, c, epsilon), read: vec![rows(n, c)] })
            .to_vec()
    }
}
