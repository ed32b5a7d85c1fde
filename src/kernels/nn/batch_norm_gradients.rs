//! Gradients of what batch norm and PReLU learn.

use super::BatchNormSums;
use crate::kernels::together::sum_of;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// Sums of [`BatchNormSums`] over slabs: `sums[c] = [Σ dz, Σ dz normal]`, `dshift += Σ dz`,
    /// `dscale += Σ dz normal`, `dslope += Σ dy min(z, 0)`.
    ///
    /// Reads `partial: [c, 3, slabs]`; writes `sums: [c, 2]`, adds to `dshift`, `dscale` and `dslope: [c]`.
    pub struct BatchNormGradients { c: u32, slabs: u32 }
}

impl BatchNormGradients {
    /// Of what `sums` left of activations of `shape`.
    pub fn new(sums: &BatchNormSums, shape: &Shape) -> Self {
        Self { c: shape.c(), slabs: sums.slabs() }
    }
}

impl Kernel for BatchNormGradients {
    const NAME: &'static str = "batch_norm_gradients";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_norm_gradients", "shared/grid", "shared/total");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE, Binding::UPDATE, Binding::UPDATE, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.c * 64)
    }

    fn sizes(&self) -> Vec<usize> {
        let c = self.c as usize;
        vec![3 * c * self.slabs as usize, 2 * c, c, c, c]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [sums, dshift, dscale, dslope] = write else { unreachable!("checked when recorded") };
        for channel in 0..self.c as usize {
            let sum = |k: usize| {
                let row = &read[0][(3 * channel + k) * self.slabs as usize..][..self.slabs as usize];
                row.iter().map(|value| f64::from(*value)).sum::<f64>()
            };
            sums[2 * channel..][..2].copy_from_slice(&[sum(0) as f32, sum(1) as f32]);
            for (k, gradient) in [&mut *dshift, dscale, dslope].into_iter().enumerate() {
                gradient[channel] = (f64::from(gradient[channel]) + sum(k)) as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [sums, dshift, dscale, dslope] = write else { unreachable!("checked when recorded") };
        let slabs = self.slabs as usize;
        for (channel, rows) in read[0].chunks_exact(3 * slabs).take(self.c as usize).enumerate() {
            let [shift, scale, slope] = [0, 1, 2].map(|k| {
                let row = &rows[k * slabs..][..slabs];
                sum_of(slabs, |s| row[s])
            });
            sums[2 * channel..][..2].copy_from_slice(&[shift, scale]);
            dshift[channel] += shift;
            dscale[channel] += scale;
            dslope[channel] += slope;
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.slabs + 2) as f32 * largest(read[0]).max(1.0) * f32::EPSILON
    }
}

impl Samples for BatchNormGradients {
    fn samples() -> Vec<Sample<Self>> {
        [[1, 1, 1, 1], [3, 65, 1, 1], [70, 33, 1, 3], [70, 2, 31, 33]]
            .map(|nchw| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let sums = BatchNormSums::new(&shape);
                Sample { kernel: Self::new(&sums, &shape), read: vec![noise(sums.partials() as usize, 1)] }
            })
            .to_vec()
    }
}
