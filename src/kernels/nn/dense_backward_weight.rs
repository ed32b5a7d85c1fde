//! Gradients of a fully connected layer's weights and bias.

use rayon::prelude::*;

use super::dense_backward_input::CASES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::noise;

crate::uniform! {
    /// `dweight[o,i] += Σ_n x[n,i] dy[n,o]`, `dbias[o] += Σ_n dy[n,o]` (spec section 8).
    ///
    /// Reads `x: [n, inputs]` and `dy: [n, out]`; adds to `dweight` and `dbias`, packed as [`Dense`](super::Dense) packs weights.
    pub struct DenseBackwardWeight { n: u32, inputs: u32, out: u32, quads: u32 }
}

/// Inputs of a task of the native body, and outputs of its register tile.
const INPUTS: usize = 32;
const TILE: usize = 4;
const LANES: usize = 64;

impl DenseBackwardWeight {
    /// Of `n` items of `inputs` values to `out` values each.
    pub fn new(n: u32, inputs: u32, out: u32) -> Self {
        Self { n, inputs, out, quads: out.div_ceil(4) }
    }

    /// Adds the gradient of inputs `first..` to their rows of the weights.
    #[inline(always)]
    fn rows(&self, first: usize, x: &[f32], dy: &[f32], rows: &mut [f32]) {
        let (inputs, out, padded) = (self.inputs as usize, self.out as usize, self.quads as usize * 4);
        for (block, rows) in rows.chunks_mut(TILE * padded).enumerate() {
            let (first, count) = (first + block * TILE, rows.len() / padded);
            for column in (0..out).step_by(LANES) {
                let lanes = LANES.min(out - column);
                let mut sums = [[0.0_f32; LANES]; TILE];
                for (x, dy) in x.chunks_exact(inputs).zip(dy.chunks_exact(out)).take(self.n as usize) {
                    let places: [f32; TILE] = std::array::from_fn(|i| x[first + i.min(count - 1)]);
                    // A whole tile has a fixed length, which vectorises.
                    if let Some(dy) = dy[column..].first_chunk::<LANES>() {
                        for (sums, x) in sums.iter_mut().zip(places) {
                            sums.iter_mut().zip(dy).for_each(|(sum, d)| *sum += x * d);
                        }
                    } else {
                        for (sums, x) in sums.iter_mut().zip(places) {
                            sums.iter_mut().zip(&dy[column..]).for_each(|(sum, d)| *sum += x * d);
                        }
                    }
                }
                for (row, sums) in rows.chunks_exact_mut(padded).zip(&sums) {
                    row[column..column + lanes].iter_mut().zip(sums).for_each(|(weight, sum)| *weight += sum);
                }
            }
        }
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
        dweight[..inputs * padded].par_chunks_mut(INPUTS * padded).enumerate().for_each(|(task, rows)| {
            simd.run(Plain(|| self.rows(task * INPUTS, read[0], read[1], rows)));
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
