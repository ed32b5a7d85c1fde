//! Fully connected layer with bias and PReLU.

use rayon::prelude::*;

use super::prelu;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{DenseOutputs, OUTPUTS, PlanesMut, Simd};
use crate::tensor::{Tensor, noise};

crate::uniform! {
    /// `y[n,o] = prelu_o(bias[o] + Σ_i weight[o,i] x[n,i])` (spec section 8).
    ///
    /// Reads `x: [n, inputs]` and packed `weight`, `bias`, `slope`; writes `y: [n, out]`.
    pub struct Dense { n: u32, inputs: u32, out: u32, quads: u32 }
}

const ITEMS: u32 = 4;

impl Dense {
    /// Creates the layer for `n` items, from `inputs` to `out` values each.
    pub fn new(n: u32, inputs: u32, out: u32) -> Self {
        Self { n, inputs, out, quads: out.div_ceil(4) }
    }

    /// Returns weights `[out, inputs]` in the order in which the kernel reads them: `[inputs, out]`,
    /// zero-padded to a multiple of 4.
    pub fn pack(weight: &Tensor) -> Vec<f32> {
        let out = weight.shape[0];
        let (inputs, padded) = (weight.data.len() / out, out.next_multiple_of(4));
        let mut packed = vec![0.0; inputs * padded];
        for (i, value) in weight.data.iter().enumerate() {
            packed[i % inputs * padded + i / inputs] = *value;
        }
        packed
    }

    /// Inverse of [`Dense::pack`]: returns the tensor of `shape` `[out, inputs]`.
    pub fn unpack(packed: &[f32], shape: &[usize]) -> Tensor {
        let (out, inputs) = (shape[0], shape[1]);
        let padded = out.next_multiple_of(4);
        Tensor { shape: shape.to_vec(), data: (0..out * inputs).map(|i| packed[i % inputs * padded + i / inputs]).collect() }
    }

    /// Pads one value per output (bias or slope) to a multiple of 4.
    pub fn pad(per_output: &[f32]) -> Vec<f32> {
        let mut padded = per_output.to_vec();
        padded.resize(per_output.len().next_multiple_of(4), 0.0);
        padded
    }

    fn padded(&self) -> usize {
        self.quads as usize * 4
    }
}

impl Kernel for Dense {
    const NAME: &'static str = "dense";
    const WGSL: &'static [&'static str] = wgsl!("nn/dense");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.quads * 4, together: ITEMS, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        let padded = self.padded();
        vec![(self.n * self.inputs) as usize, self.inputs as usize * padded, padded, padded, (self.n * self.out) as usize]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, weight, bias, slope] = read else { unreachable!("checked when recorded") };
        let (inputs, out) = (self.inputs as usize, self.out as usize);
        for (n, o) in (0..items as usize).flat_map(|n| (0..out).map(move |o| (n, o))) {
            let mut sum = f64::from(bias[o]);
            for i in 0..inputs {
                sum += f64::from(weight[i * self.padded() + o]) * f64::from(x[n * inputs + i]);
            }
            write[0][n * out + o] = prelu(sum, f64::from(slope[o])) as f32;
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        if items == 0 {
            return;
        }
        let (inputs, out, padded, simd) = (self.inputs as usize, self.out as usize, self.padded(), Simd::chosen());
        let (x, weight, bias, slope) = (read[0], read[1], read[2], read[3]);
        let mut rest = PlanesMut::new(&mut write[0][..items as usize * out], items as usize);
        let mut tasks = Vec::new();
        for first in (0..out).step_by(OUTPUTS) {
            let (y, others) = rest.split_at(OUTPUTS.min(out - first));
            rest = others;
            tasks.push(DenseOutputs { x, inputs, weight, bias, slope, padded, first, y });
        }
        tasks.into_par_iter().for_each(|task| simd.run(task));
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        u64::from(items) * u64::from(self.inputs) * u64::from(self.out)
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let term = (largest(read[0]) * largest(read[1])).max(largest(read[2]));
        (self.inputs + 1) as f32 * term * largest(read[3]).max(1.0) * f32::EPSILON
    }
}

impl Samples for Dense {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1), (3, 5, 2), (9, 128, 6), (5, 576, 128), (130, 33, 16), (2, 1152, 255)]
            .map(|(n, inputs, out)| {
                let weight = Tensor { shape: vec![out as usize, inputs as usize], data: noise((inputs * out) as usize, 2) };
                let per_output = |seed| Self::pad(&noise(out as usize, seed));
                let x = noise((n * inputs) as usize, 1);
                Sample { kernel: Self::new(n, inputs, out), read: vec![x, Self::pack(&weight), per_output(3), per_output(4)] }
            })
            .to_vec()
    }
}
