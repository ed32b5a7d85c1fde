//! Gradients of activations without parameters.

use rayon::prelude::*;

use super::Activation;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `dx += dy (y >= most ? 0 : y > 0 ? 1 : slope)`, or `dy y (1 - y)` for the sigmoid, where `y` is the
    /// output of [`Activation`].
    ///
    /// Reads `y` and `dy: [len]`; adds to `dx: [len]`.
    pub struct ActivationBackward { len: u32, sigmoid: u32, slope: f32, most: f32 }
}

impl ActivationBackward {
    /// Creates the gradient of the sigmoid for `len` elements.
    pub fn sigmoid(len: u32) -> Self {
        Self { len, sigmoid: 1, slope: 0.0, most: f32::MAX }
    }

    /// Creates the gradient of ReLU or leaky ReLU, with the arguments of [`Activation::relu`].
    pub fn relu(len: u32, slope: f32, most: f32) -> Self {
        Self { len, sigmoid: 0, slope: slope.abs(), most }
    }
}

impl ActivationBackward {
    /// Returns the derivative of a ReLU whose result is `y`.
    #[inline(always)]
    fn slope_at(&self, y: f32) -> f32 {
        let rising = if y > 0.0 { 1.0 } else { self.slope };
        if y >= self.most { 0.0 } else { rising }
    }
}

impl Kernel for ActivationBackward {
    const NAME: &'static str = "activation_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/activation_backward", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize; 3]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (i, dx) in write[0][..self.len as usize].iter_mut().enumerate() {
            let (y, dy) = (f64::from(read[0][i]), f64::from(read[1][i]));
            let slope = f64::from(self.slope_at(read[0][i]));
            *dx = (f64::from(*dx) + dy * if self.sigmoid == 1 { y * (1.0 - y) } else { slope }) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let inputs = read[0].par_chunks(BLOCK).zip(read[1].par_chunks(BLOCK));
        write[0][..self.len as usize].par_chunks_mut(BLOCK).zip(inputs).for_each(|(dx, (y, dy))| {
            let all = dx.iter_mut().zip(y).zip(dy);
            if self.sigmoid == 1 {
                all.for_each(|((dx, y), dy)| *dx += dy * y * (1.0 - y));
            } else {
                all.for_each(|((dx, y), dy)| *dx += self.slope_at(*y) * dy);
            }
        });
    }

    /// For the sigmoid, `y (1 - y)` is at most 1/4, but 1 - y errs by ε/2 at any `y`.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + 3.0 * self.slope.max(1.0) * largest(read[1])) * f32::EPSILON
    }
}

impl Samples for ActivationBackward {
    fn samples() -> Vec<Sample<Self>> {
        let forward = Activation::samples().into_iter();
        let kernels = [
            Self::sigmoid(1),
            Self::relu(65, 0.0, f32::MAX),
            Self::relu(40_001, 0.2, 6.0),
            Self::sigmoid(20_001),
            Self::relu(65_535 * 64 + 9, 0.2, f32::MAX),
        ];
        forward
            .zip(kernels)
            .map(|(forward, kernel)| {
                let mut y = vec![f32::NAN; kernel.len as usize];
                Kernel::reference(&forward.kernel, 1, &[&forward.read[0]], &mut [&mut y]);
                let dy = noise(y.len(), 2);
                Sample { kernel, read: vec![y, dy] }
            })
            .collect()
    }
}
