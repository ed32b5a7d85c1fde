//! Squared norm of a gradient.

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Sum of squares of `gradient: [len]`, written to element `index` of `norms`.
    pub struct Squares { len: u32, index: u32 }
}

impl Squares {
    /// Of `len` elements, to place `index`.
    pub fn new(len: u32, index: u32) -> Self {
        Self { len, index }
    }
}

impl Kernel for Squares {
    const NAME: &'static str = "squares";
    const WGSL: &'static [&'static str] = wgsl!("train/squares");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize, self.index as usize + 1]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        write[0][self.index as usize] = read[0][..self.len as usize].iter().map(|g| f64::from(*g).powi(2)).sum::<f64>() as f32;
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        // Sixteen sums side by side, which vectorises; in the same order in every run.
        let mut sums = [0.0_f32; 16];
        for block in read[0][..self.len as usize].chunks(16) {
            sums.iter_mut().zip(block).for_each(|(sum, g)| *sum += g * g);
        }
        write[0][self.index as usize] = sums.iter().sum();
    }

    /// All terms have one sign: their sum stands for the largest term.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = self.len.div_ceil(16) + 16;
        let sum = largest(read[0]).powi(2) * self.len as f32;
        terms as f32 * sum * f32::EPSILON
    }
}

impl Samples for Squares {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 0), (255, 3), (257, 1), (30_001, 7)]
            .map(|(len, index)| Sample { kernel: Self::new(len, index), read: vec![noise(len as usize, 1)] })
            .to_vec()
    }
}
