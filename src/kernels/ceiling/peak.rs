//! Peak arithmetic throughput.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{CHAINS, Chains, Simd};
use crate::tensor::noise;

crate::uniform! {
    /// `y[i]` = mean of 12 chains `a_j <- a_j / 2 + x[i]` of `turns` turns, which start at `x[i] + j` and
    /// converge to `2 x[i]`.
    ///
    /// Reads `x: [n]`; writes `y: [n]`.
    pub struct Peak { n: u32, turns: u32, factor: f32 }
}

impl Peak {
    /// Creates the kernel for `n` elements with `turns` turns each.
    pub fn new(n: u32, turns: u32) -> Self {
        Self { n, turns, factor: 0.5 }
    }
}

impl Kernel for Peak {
    const NAME: &'static str = "peak";
    const WGSL: &'static [&'static str] = wgsl!("ceiling/peak");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.n as usize; 2]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (y, &x) in write[0].iter_mut().zip(read[0]).take(self.n as usize) {
            let x = f64::from(x);
            let chain = |j: usize| (0..self.turns).fold(x + j as f64, |a, _| a * f64::from(self.factor) + x);
            *y = ((0..CHAINS).map(chain).sum::<f64>() / CHAINS as f64) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, simd) = (self.n as usize, Simd::chosen());
        let blocks = write[0][..n].par_chunks_mut(256).zip(read[0][..n].par_chunks(256));
        blocks.for_each(|(y, x)| simd.run(Chains { x, turns: self.turns, factor: self.factor, y }));
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        u64::from(self.n) * u64::from(self.turns) * CHAINS as u64
    }

    /// A chain is no larger than `2 (|x| + 11)`. Each turn halves the accumulated error and adds two
    /// roundings of ε/2, so that errors sum to 2 ε. The mean of twelve adds one ε per term.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        2.0 * (largest(read[0]) + 11.0) * 14.0 * f32::EPSILON
    }
}

impl Samples for Peak {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1), (65, 3), (1000, 100)].map(|(n, turns)| Sample { kernel: Self::new(n, turns), read: vec![noise(n as usize, 1)] }).to_vec()
    }
}
