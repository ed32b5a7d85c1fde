//! Gradient with respect to the input of a fully connected layer.

use rayon::prelude::*;

use super::Dense;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{DenseBackwardInputs, Simd};
use crate::tensor::{Tensor, noise};

crate::uniform! {
    /// `dx[n,i] += Σ_o weight[o,i] dy[n,o]` (spec section 8).
    ///
    /// Reads `dy: [n, out]` and packed `weight` (see [`Dense::pack`]); adds to `dx: [n, inputs]`.
    pub struct DenseBackwardInput { n: u32, inputs: u32, out: u32, quads: u32 }
}

/// Items per task of the native body.
const ITEMS: usize = 8;

impl DenseBackwardInput {
    /// Creates the kernel for a layer from `inputs` to `out` values on `n` items.
    pub fn new(n: u32, inputs: u32, out: u32) -> Self {
        Self { n, inputs, out, quads: out.div_ceil(4) }
    }
}

impl Kernel for DenseBackwardInput {
    const NAME: &'static str = "dense_backward_input";
    const WGSL: &'static [&'static str] = wgsl!("nn/dense_backward_input");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.inputs, together: 4, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.out) as usize, (self.inputs * self.quads * 4) as usize, (self.n * self.inputs) as usize]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (inputs, out, padded) = (self.inputs as usize, self.out as usize, self.quads as usize * 4);
        for (at, dx) in write[0][..items as usize * inputs].iter_mut().enumerate() {
            let (n, i) = (at / inputs, at % inputs);
            let terms = (0..out).map(|o| f64::from(read[1][i * padded + o]) * f64::from(read[0][n * out + o]));
            *dx = (f64::from(*dx) + terms.sum::<f64>()) as f32;
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (inputs, out, padded, simd) = (self.inputs as usize, self.out as usize, self.quads as usize * 4, Simd::chosen());
        let dx = &mut write[0][..items as usize * inputs];
        dx.par_chunks_mut(ITEMS * inputs).zip(read[0].par_chunks(ITEMS * out)).for_each(|(dx, dy)| {
            simd.run(DenseBackwardInputs { dy, out, weight: read[1], padded, inputs, dx });
        });
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        [items, self.inputs, self.out].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.out + 1) as f32 * (largest(read[0]) * largest(read[1])).max(1.0) * f32::EPSILON
    }
}

/// Test cases: items, inputs and outputs.
pub(super) const CASES: [[u32; 3]; 6] = [[1, 1, 1], [3, 5, 2], [9, 128, 6], [5, 576, 128], [130, 33, 16], [2, 1152, 255]];

impl Samples for DenseBackwardInput {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .map(|[n, inputs, out]| {
                let weight = Tensor { shape: vec![out as usize, inputs as usize], data: noise((inputs * out) as usize, 2) };
                Sample { kernel: Self::new(n, inputs, out), read: vec![noise((n * out) as usize, 1), Dense::pack(&weight)] }
            })
            .to_vec()
    }
}
