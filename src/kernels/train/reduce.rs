//! Sums of partial sums, in a fixed order.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `sum[e] += Σ_s partial[e, s]`, in a fixed order, so that every run gives the same bits.
    ///
    /// Reads `partial`, `[len, slabs]` or `[slabs, len]`; adds to `sum: [len]`.
    pub struct Reduce { len: u32, slabs: u32, element: u32, slab: u32 }
}

impl Reduce {
    /// Creates the kernel for `partial: [slabs, len]`.
    pub fn slabs_first(slabs: u32, len: u32) -> Self {
        Self { len, slabs, element: 1, slab: len }
    }

    /// Creates the kernel for `partial: [len, slabs]`.
    pub fn slabs_last(len: u32, slabs: u32) -> Self {
        Self { len, slabs, element: slabs, slab: 1 }
    }
}

impl Kernel for Reduce {
    const NAME: &'static str = "reduce";
    const WGSL: &'static [&'static str] = wgsl!("train/reduce", "shared/grid");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len * 16)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.len * self.slabs) as usize, self.len as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (e, sum) in write[0][..self.len as usize].iter_mut().enumerate() {
            let partial = (0..self.slabs as usize).map(|s| f64::from(read[0][e * self.element as usize + s * self.slab as usize]));
            *sum = (f64::from(*sum) + partial.sum::<f64>()) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (len, slabs) = (self.len as usize, self.slabs as usize);
        let sum = &mut write[0][..len];
        if self.element > 1 {
            sum.iter_mut().zip(read[0].chunks_exact(slabs)).for_each(|(sum, partial)| *sum += partial.iter().sum::<f32>());
            return;
        }
        // A block stays in cache while the slabs are added one by one.
        const BLOCK: usize = 2048;
        sum.par_chunks_mut(BLOCK).enumerate().for_each(|(block, sum)| {
            let mut total = [0.0_f32; BLOCK];
            for partial in read[0].chunks_exact(len).take(slabs) {
                total.iter_mut().zip(&partial[block * BLOCK..][..sum.len()]).for_each(|(total, partial)| *total += partial);
            }
            sum.iter_mut().zip(&total).for_each(|(sum, total)| *sum += total);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.slabs + 1) as f32 * largest(read[0]).max(1.0) * f32::EPSILON
    }
}

impl Samples for Reduce {
    fn samples() -> Vec<Sample<Self>> {
        [
            Self::slabs_first(1, 1),
            Self::slabs_first(37, 5000),
            Self::slabs_last(65, 3),
            Self::slabs_last(1, 1024),
            Self::slabs_first(1, 65_535 * 16 + 9),
        ]
        .map(|kernel| Sample { kernel, read: vec![noise((kernel.len * kernel.slabs) as usize, 1)] })
        .to_vec()
    }
}
