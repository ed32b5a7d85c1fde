//! Squared norm of a gradient.

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Sum of squares of `gradient: [len]`, in [`Squares::SHARES`] shares, written to row `index` of `norms: [rows, SHARES]`. Share `s` has
    /// every `SHARES`-th block of 256 elements, from block `s` on.
    pub struct Squares { len: u32, index: u32 }
}

impl Squares {
    /// Sums that add up to one.
    pub const SHARES: usize = 32;
    /// Elements of a block.
    const BLOCK: usize = 256;

    /// Of `len` elements, to row `index`.
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
        Work::linear((Self::SHARES * Self::BLOCK) as u32)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize, (self.index as usize + 1) * Self::SHARES]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let mut shares = [0.0_f64; Self::SHARES];
        for (i, g) in read[0][..self.len as usize].iter().enumerate() {
            shares[i / Self::BLOCK % Self::SHARES] += f64::from(*g).powi(2);
        }
        write[0][self.index as usize * Self::SHARES..].iter_mut().zip(shares).for_each(|(to, sum)| *to = sum as f32);
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let to = &mut write[0][self.index as usize * Self::SHARES..][..Self::SHARES];
        to.fill(0.0);
        for (i, block) in read[0][..self.len as usize].chunks(Self::BLOCK).enumerate() {
            // Sixteen sums side by side, which vectorises; in the same order in every run.
            let mut sums = [0.0_f32; 16];
            for few in block.chunks(16) {
                sums.iter_mut().zip(few).for_each(|(sum, g)| *sum += g * g);
            }
            to[i % Self::SHARES] += sums.iter().sum::<f32>();
        }
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
