//! Gradient of the bias of a convolution or dense layer.

use rayon::prelude::*;

use super::sizes::{Sizes, samples};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::noise;

crate::uniform! {
    /// `dbias[o] += Σ_{n,i,j} dy[n,o,i,j]`.
    ///
    /// Reads `dy: [n, out, plane]`; adds to `dbias: [out]`.
    pub struct ConvolutionBackwardBias { n: u32, out: u32, plane: u32 }
}

/// Partial sums of a channel.
const PARTIAL: usize = 64;

impl ConvolutionBackwardBias {
    /// Of a convolution of these sizes.
    pub fn new(sizes: &Sizes) -> Self {
        Self { n: sizes.n, out: sizes.out, plane: sizes.y_plane() as u32 }
    }

    /// The planes of channel `o`.
    fn planes<'a>(&self, dy: &'a [f32], o: usize) -> impl Iterator<Item = &'a [f32]> {
        let (out, plane) = (self.out as usize, self.plane as usize);
        (0..self.n as usize).map(move |n| &dy[(n * out + o) * plane..][..plane])
    }
}

impl Kernel for ConvolutionBackwardBias {
    const NAME: &'static str = "convolution_backward_bias";
    const WGSL: &'static [&'static str] = wgsl!("nn/convolution_backward_bias", "shared/grid");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.out * 256)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.out * self.plane) as usize, self.out as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (o, dbias) in write[0][..self.out as usize].iter_mut().enumerate() {
            let sum: f64 = self.planes(read[0], o).flatten().map(|dy| f64::from(*dy)).sum();
            *dbias = (f64::from(*dbias) + sum) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (simd, dy) = (Simd::chosen(), read[0]);
        write[0][..self.out as usize].par_iter_mut().enumerate().for_each(|(o, dbias)| {
            simd.run(Plain(|| {
                let mut sums = [0.0_f32; PARTIAL];
                for part in self.planes(dy, o).flat_map(|plane| plane.chunks(PARTIAL)) {
                    sums.iter_mut().zip(part).for_each(|(sum, dy)| *sum += dy);
                }
                *dbias += sums.iter().sum::<f32>();
            }));
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (self.n * self.plane + 1) as f32 * largest(read[0]).max(1.0) * f32::EPSILON
    }
}

impl Samples for ConvolutionBackwardBias {
    fn samples() -> Vec<Sample<Self>> {
        samples()
            .into_iter()
            .step_by(2)
            .map(|(sizes, _)| Sample { kernel: Self::new(&sizes), read: vec![noise(sizes.y_len(), 1)] })
            .collect()
    }
}
