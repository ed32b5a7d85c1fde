//! Counts P-Net cells over the threshold.

use rayon::prelude::*;

use super::face_probability;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Cells whose face probability reaches `threshold`, counted per block of 256.
    ///
    /// Reads `heads: [6, cells]`; writes `counts: [blocks]`, the top bit set where a probability is NaN.
    pub struct Hits { cells: u32, threshold: f32 }
}

impl Hits {
    /// Cells of a block.
    pub const BLOCK: u32 = 256;

    /// Over `cells` cells.
    pub fn new(cells: u32, threshold: f32) -> Self {
        Self { cells, threshold }
    }

    fn block(&self, heads: &[f32], block: usize) -> f32 {
        let (cells, size) = (self.cells as usize, Self::BLOCK as usize);
        let (mut hits, mut nan) = (0_u32, 0);
        for i in block * size..((block + 1) * size).min(cells) {
            let probability = face_probability(heads[i], heads[cells + i]);
            hits += u32::from(probability >= self.threshold);
            nan |= u32::from(probability.is_nan()) << 31;
        }
        f32::from_bits(hits | nan)
    }
}

impl Kernel for Hits {
    const NAME: &'static str = "hits";
    const WGSL: &'static [&'static str] = wgsl!("select/hits", "shared/probability");
    const WORKGROUP: [u32; 3] = [Self::BLOCK, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.cells)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.cells as usize * 6, self.cells.div_ceil(Self::BLOCK) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let blocks = self.cells.div_ceil(Self::BLOCK) as usize;
        write[0][..blocks].iter_mut().enumerate().for_each(|(i, count)| *count = self.block(read[0], i));
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let blocks = self.cells.div_ceil(Self::BLOCK) as usize;
        write[0][..blocks].par_iter_mut().enumerate().for_each(|(i, count)| *count = self.block(read[0], i));
    }
}

impl Samples for Hits {
    fn samples() -> Vec<Sample<Self>> {
        let mut samples: Vec<_> = [1_u32, 255, 256, 257, 5001]
            .map(|cells| Sample { kernel: Self::new(cells, 0.6), read: vec![noise(cells as usize * 6, 1)] })
            .to_vec();
        let mut faulty = noise(600 * 6, 2);
        faulty[599] = f32::NAN;
        samples.push(Sample { kernel: Self::new(600, 0.5), read: vec![faulty] });
        samples
    }
}
