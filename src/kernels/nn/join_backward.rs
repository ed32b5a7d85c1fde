//! Gradient of one of two that were joined.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `dx[n, i] += dy[n, first + i]`: the gradient of one input of [`Join`](super::Join).
    ///
    /// Reads `dy: [n, both]`; adds to `dx: [n, len]`.
    pub struct JoinBackward { n: u32, len: u32, first: u32, both: u32 }
}

impl JoinBackward {
    /// Of the first input of `Join::new(n, left, right)`.
    pub fn left(n: u32, left: u32, right: u32) -> Self {
        Self { n, len: left, first: 0, both: left + right }
    }

    /// Of its second input.
    pub fn right(n: u32, left: u32, right: u32) -> Self {
        Self { n, len: right, first: left, both: left + right }
    }
}

impl Kernel for JoinBackward {
    const NAME: &'static str = "join_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/join_backward", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.both) as usize, (self.n * self.len) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (len, first, both) = (self.len as usize, self.first as usize, self.both as usize);
        for (i, dx) in write[0][..self.n as usize * len].iter_mut().enumerate() {
            *dx = (f64::from(*dx) + f64::from(read[0][i / len * both + first + i % len])) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (len, first) = (self.len as usize, self.first as usize);
        let items = write[0][..self.n as usize * len].par_chunks_exact_mut(len).zip(read[0].par_chunks_exact(self.both as usize));
        items.with_min_len((BLOCK / len).max(1)).for_each(|(dx, dy)| {
            dx.iter_mut().zip(&dy[first..]).for_each(|(dx, dy)| *dx += dy);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + largest(read[0])) * f32::EPSILON
    }
}

impl Samples for JoinBackward {
    fn samples() -> Vec<Sample<Self>> {
        [Self::left(1, 1, 1), Self::right(3, 128, 16), Self::left(64, 256, 144), Self::right(5, 7, 11), Self::right(70, 10_001, 61_000)]
            .map(|kernel| Sample { kernel, read: vec![noise((kernel.n * kernel.both) as usize, 1)] })
            .to_vec()
    }
}
