//! Gradient of rows of length one.

use rayon::prelude::*;

use super::unit_rows::rows;
use crate::kernels::together::{BLOCK, sum_of};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `dx[n] += (dy[n] - x[n] (x[n] · dy[n]) / |x[n]|²) / |x[n]|`, and `dy[n] / ε` of rows shorter than `ε`:
    /// the gradient of [`UnitRows`](super::UnitRows).
    ///
    /// Reads `x` and `dy: [n, c]`; adds to `dx: [n, c]`.
    pub struct UnitRowsBackward { n: u32, c: u32, epsilon: f32 }
}

impl UnitRowsBackward {
    /// As [`UnitRows::new`](super::UnitRows::new).
    pub fn new(n: u32, c: u32, epsilon: f64) -> Self {
        Self { n, c, epsilon: epsilon as f32 }
    }
}

impl Kernel for UnitRowsBackward {
    const NAME: &'static str = "unit_rows_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/unit_rows_backward", "shared/grid", "shared/total");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * 64)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.c) as usize; 3]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, epsilon) = (self.c as usize, f64::from(self.epsilon));
        let all = read[0].chunks_exact(c).zip(read[1].chunks_exact(c)).zip(write[0].chunks_exact_mut(c));
        for ((x, dy), dx) in all.take(self.n as usize) {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let (norm, product) = (dot(x, x).sqrt(), dot(x, dy));
            for ((x, dy), dx) in x.iter().zip(dy).zip(dx) {
                let (x, dy) = (f64::from(*x), f64::from(*dy));
                let d = if norm > epsilon { (dy - x * product / (norm * norm)) / norm } else { dy / epsilon };
                *dx = (f64::from(*dx) + d) as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let c = self.c as usize;
        let all = read[0].par_chunks_exact(c).zip(read[1].par_chunks_exact(c)).zip(write[0].par_chunks_exact_mut(c));
        all.take(self.n as usize).with_min_len((BLOCK / c).max(1)).for_each(|((x, dy), dx)| {
            let norm = sum_of(c, |i| x[i] * x[i]).sqrt();
            let factor = 1.0 / norm.max(self.epsilon);
            let along = if norm > self.epsilon { sum_of(c, |i| x[i] * dy[i]) * factor * factor } else { 0.0 };
            x.iter().zip(dy).zip(dx).for_each(|((x, dy), dx)| *dx += (dy - x * along) * factor);
        });
    }

    /// `x (x · dy) / |x|²` is at most |dy| long; both sums err by as many ε/2 as they have terms one after
    /// the other, the other operations by sixteen.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let c = self.c as usize;
        let norms = read[0].chunks_exact(c).take(self.n as usize).map(|x| x.iter().map(|x| x * x).sum::<f32>().sqrt());
        let shortest = norms.fold(f32::INFINITY, f32::min).max(self.epsilon);
        let length = (self.c as f32).sqrt() * largest(read[1]);
        (1.0 + (self.c.div_ceil(16) as f32 + 32.0) * 2.0 * length / shortest) * f32::EPSILON
    }
}

impl Samples for UnitRowsBackward {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1e-2), (3, 5, 1e-2), (70, 512, 1e-12), (9, 1000, 0.1)]
            .map(|(n, c, epsilon)| Sample { kernel: Self::new(n, c, epsilon), read: vec![rows(n, c), noise((n * c) as usize, 2)] })
            .to_vec()
    }
}
