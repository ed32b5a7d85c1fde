//! Sum of two tensors.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y = a + b`: residual units. Backward is [`Axpy`](super::Axpy), twice.
    ///
    /// Reads `a` and `b: [len]`; writes `y: [len]`.
    pub struct Add { len: u32 }
}

impl Add {
    /// Of `len` elements.
    pub fn new(len: u32) -> Self {
        Self { len }
    }
}

impl Kernel for Add {
    const NAME: &'static str = "add";
    const WGSL: &'static [&'static str] = wgsl!("nn/add", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize; 3]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (i, y) in write[0][..self.len as usize].iter_mut().enumerate() {
            *y = (f64::from(read[0][i]) + f64::from(read[1][i])) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let terms = read[0].par_chunks(BLOCK).zip(read[1].par_chunks(BLOCK));
        write[0][..self.len as usize].par_chunks_mut(BLOCK).zip(terms).for_each(|(y, (a, b))| {
            y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (largest(read[0]) + largest(read[1])) * f32::EPSILON
    }
}

impl Samples for Add {
    fn samples() -> Vec<Sample<Self>> {
        [1, 65, 40_001, 65_535 * 64 + 9]
            .map(|len| Sample { kernel: Self::new(len), read: vec![noise(len as usize, 1), noise(len as usize, 2)] })
            .to_vec()
    }
}
