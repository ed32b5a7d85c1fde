//! Squared norms of gradients.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Sums of squares of `rows` ranges of an arena, each in [`Squares::SHARES`] shares. Share `s` of a range has every `SHARES`-th block of
    /// 256 elements, from block `s` on.
    ///
    /// Reads `gradients: [len]` and `ranges: [rows, 2]`, first element and elements; writes `norms: [rows, SHARES]`, from row `first` on.
    pub struct Squares { len: u32, rows: u32, first: u32 }
}

impl Squares {
    /// Sums that add up to one.
    pub const SHARES: usize = 32;
    /// Elements of a block.
    const BLOCK: usize = 256;

    /// Of `rows` ranges of an arena of `len` elements, to the rows from `first` on.
    pub fn new(len: u32, rows: u32, first: u32) -> Self {
        Self { len, rows, first }
    }

    /// The elements of each range.
    fn ranges<'a>(read: &[&'a [f32]]) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let gradients = read[0];
        read[1].chunks_exact(2).map(move |range| &gradients[range[0].to_bits() as usize..][..range[1].to_bits() as usize])
    }
}

impl Kernel for Squares {
    const NAME: &'static str = "squares";
    const WGSL: &'static [&'static str] = wgsl!("train/squares");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.rows, ..Work::linear((Self::SHARES * Self::BLOCK) as u32) }
    }

    fn sizes(&self) -> Vec<usize> {
        let rows = self.rows as usize;
        vec![self.len as usize, 2 * rows, (self.first as usize + rows) * Self::SHARES]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let norms = write[0][self.first as usize * Self::SHARES..].chunks_exact_mut(Self::SHARES);
        for (gradient, norms) in Self::ranges(read).take(self.rows as usize).zip(norms) {
            let mut shares = [0.0_f64; Self::SHARES];
            for (i, g) in gradient.iter().enumerate() {
                shares[i / Self::BLOCK % Self::SHARES] += f64::from(*g).powi(2);
            }
            norms.iter_mut().zip(shares).for_each(|(to, sum)| *to = sum as f32);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ranges: Vec<&[f32]> = Self::ranges(read).take(self.rows as usize).collect();
        let norms = write[0][self.first as usize * Self::SHARES..].par_chunks_exact_mut(Self::SHARES);
        norms.zip(ranges).for_each(|(to, gradient)| {
            to.fill(0.0);
            for (i, block) in gradient.chunks(Self::BLOCK).enumerate() {
                // Sixteen sums side by side, which vectorises; in the same order in every run.
                let mut sums = [0.0_f32; 16];
                for few in block.chunks(16) {
                    sums.iter_mut().zip(few).for_each(|(sum, g)| *sum += g * g);
                }
                to[i % Self::SHARES] += sums.iter().sum::<f32>();
            }
        });
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
        let cases: [(u32, &[[u32; 2]]); 3] =
            [(0, &[[0, 1]]), (3, &[[0, 255], [256, 257]]), (7, &[[64, 1], [128, 30_001], [30_208, 64], [30_272, 8_192]])];
        cases
            .map(|(first, ranges)| {
                let len = ranges.iter().map(|[start, len]| start + len).max().unwrap_or(0);
                let kernel = Self::new(len, ranges.len() as u32, first);
                Sample { kernel, read: vec![noise(len as usize, 1), words(ranges.iter().flatten().copied())] }
            })
            .to_vec()
    }
}
