//! Clearing of gradients.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// Writes zeros to `x: [len]`. Gradients accumulate, so every step starts by clearing them.
    pub struct Clear { len: u32 }
}

impl Clear {
    /// Creates the kernel for `len` elements.
    pub fn new(len: u32) -> Self {
        Self { len }
    }
}

impl Kernel for Clear {
    const NAME: &'static str = "clear";
    const WGSL: &'static [&'static str] = wgsl!("train/clear", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize]
    }

    fn reference(&self, _: u32, _: &[&[f32]], write: &mut [&mut [f32]]) {
        write[0][..self.len as usize].fill(0.0);
    }

    fn native(&self, _: u32, _: &[&[f32]], write: &mut [&mut [f32]]) {
        write[0][..self.len as usize].par_chunks_mut(1 << 16).for_each(|x| x.fill(0.0));
    }
}

impl Samples for Clear {
    fn samples() -> Vec<Sample<Self>> {
        [1, 65, 65_535 * 64 + 77].map(|len| Sample { kernel: Self::new(len), read: Vec::new() }).to_vec()
    }
}
