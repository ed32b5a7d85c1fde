//! Gradients of a fully connected layer's weights and bias.

use rayon::prelude::*;

use super::dense_backward_input::CASES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{DenseBackwardWeights, Simd};
use crate::tensor::noise;

crate::uniform! {
    /// `dweight[o,i] += Σ_n x[n,i] dy[n,o]`, `dbias[o] += Σ_n dy[n,o]` (spec section 8).
    ///
    /// Reads `x: [n, inputs]` and `dy: [n, out]`; adds to `dweight` and `dbias`, packed as
    /// [`Dense`](super::Dense) packs weights.
    pub struct DenseBackwardWeight { n: u32, inputs: u32, out: u32, quads: u32 }
}

/// Inputs per task of the native body.
const INPUTS: usize = 48;

impl DenseBackwardWeight {
    /// Creates the kernel for a layer from `inputs` to `out` values on `n` items.
    pub fn new(n: u32, inputs: u32, out: u32) -> Self {
        Self { n, inputs, out, quads: out.div_ceil(4) }
    }
}

impl Kernel for DenseBackwardWeight {
    const NAME: &'static str = "dense_backward_weight";
    const WGSL: &'static [&'static str] = wgsl!("nn/dense_backward_weight");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.inputs.div_ceil(4) * self.quads * 4)
    }

    fn sizes(&self) -> Vec<usize> {
        let padded = self.quads * 4;
        vec![(self.n * self.inputs) as usize, (self.n * self.out) as usize, (self.inputs * padded) as usize, padded as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, inputs, out, padded) = (self.n as usize, self.inputs as usize, self.out as usize, self.quads as usize * 4);
        for o in 0..out {
            let dy = |item: usize| f64::from(read[1][item * out + o]);
            for i in 0..inputs {
                let sum: f64 = (0..n).map(|item| f64::from(read[0][item * inputs + i]) * dy(item)).sum();
                let weight = &mut write[0][i * padded + o];
                *weight = (f64::from(*weight) + sum) as f32;
            }
            write[1][o] = (f64::from(write[1][o]) + (0..n).map(dy).sum::<f64>()) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (inputs, out, padded, simd) = (self.inputs as usize, self.out as usize, self.quads as usize * 4, Simd::chosen());
        let [dweight, dbias] = write else { unreachable!("checked when recorded") };
        for dy in read[1].chunks_exact(out).take(self.n as usize) {
            dbias.iter_mut().zip(dy).for_each(|(bias, d)| *bias += d);
        }
        let (x, dy) = (read[0], &read[1][..self.n as usize * out]);
        dweight[..inputs * padded].par_chunks_mut(INPUTS * padded).enumerate().for_each(|(task, dweight)| {
            simd.run(DenseBackwardWeights { x, inputs, dy, out, first: task * INPUTS, padded, dweight });
        });
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        [self.n, self.inputs, self.out].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.n + 1) as f32 * (largest(read[1]) * largest(read[0]).max(1.0)).max(1.0) * f32::EPSILON
    }
}

impl Samples for DenseBackwardWeight {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .map(|[n, inputs, out]| Sample {
                kernel: Self::new(n, inputs, out),
                read: vec![noise((n * inputs) as usize, 1), noise((n * out) as usize, 2)],
            })
            .to_vec()
    }
}
