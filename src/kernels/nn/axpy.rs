//! Adds a multiple of one tensor to another.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y += factor x`: gradients of sums, and with a factor of -1 gradient reversal.
    ///
    /// Reads `x: [len]`; adds to `y: [len]`.
    pub struct Axpy { len: u32, factor: f32 }
}

impl Axpy {
    /// Of `len` elements.
    pub fn new(len: u32, factor: f32) -> Self {
        Self { len, factor }
    }
}

impl Kernel for Axpy {
    const NAME: &'static str = "axpy";
    const WGSL: &'static [&'static str] = wgsl!("nn/axpy", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize; 2]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (y, x) in write[0].iter_mut().zip(read[0]).take(self.len as usize) {
            *y = (f64::from(*y) + f64::from(self.factor) * f64::from(*x)) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        write[0][..self.len as usize].par_chunks_mut(BLOCK).zip(read[0].par_chunks(BLOCK)).for_each(|(y, x)| {
            y.iter_mut().zip(x).for_each(|(y, x)| *y += self.factor * x);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + 2.0 * self.factor.abs() * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for Axpy {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1.0), (65, -1.0), (40_001, 0.3), (65_535 * 64 + 9, -1.0)]
            .map(|(len, factor)| Sample { kernel: Self::new(len, factor), read: vec![noise(len as usize, 1)] })
            .to_vec()
    }
}
