//! Activations without parameters.

use rayon::prelude::*;

use super::prelu;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// `y = x > 0 ? min(x, most) : slope x`, or the sigmoid of `x`. The backward pass is
    /// [`ActivationBackward`](super::ActivationBackward).
    ///
    /// Reads `x: [len]`; writes `y: [len]`.
    pub struct Activation { len: u32, sigmoid: u32, slope: f32, most: f32 }
}

impl Activation {
    /// Creates the sigmoid `1 / (1 + e^-x)` of `len` elements.
    pub fn sigmoid(len: u32) -> Self {
        Self { len, sigmoid: 1, slope: 0.0, most: f32::MAX }
    }

    /// Creates ReLU, or leaky ReLU with `slope`, with results of at most `most`, which must be positive. The
    /// slope must not be negative; the magnitude of a negative one is used.
    pub fn relu(len: u32, slope: f32, most: f32) -> Self {
        Self { len, sigmoid: 0, slope: slope.abs(), most }
    }
}

impl Kernel for Activation {
    const NAME: &'static str = "activation";
    const WGSL: &'static [&'static str] = wgsl!("nn/activation", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.len as usize; 2]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (y, x) in write[0].iter_mut().zip(read[0]).take(self.len as usize) {
            let x = f64::from(*x);
            *y =
                if self.sigmoid == 1 { 1.0 / (1.0 + (-x).exp()) } else { prelu(x, f64::from(self.slope)).min(f64::from(self.most)) } as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        write[0][..self.len as usize].par_chunks_mut(BLOCK).zip(read[0].par_chunks(BLOCK)).for_each(|(y, x)| {
            let pairs = y.iter_mut().zip(x);
            if self.sigmoid == 1 {
                pairs.for_each(|(y, x)| {
                    let e = (-x.abs()).exp();
                    *y = if *x > 0.0 { 1.0 } else { e } / (1.0 + e);
                });
            } else {
                pairs.for_each(|(y, x)| *y = prelu(*x, self.slope).min(self.most));
            }
        });
    }

    /// WGSL allows `exp` an error of 3 + 2|x| ulp, which p (1 - p) damps to under 2 ε, and a division 2.5
    /// ulp.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        if self.sigmoid == 1 { 6.0 * f32::EPSILON } else { self.slope * largest(read[0]) * f32::EPSILON }
    }
}

impl Samples for Activation {
    fn samples() -> Vec<Sample<Self>> {
        [
            Self::sigmoid(1),
            Self::relu(65, 0.0, f32::MAX),
            Self::relu(40_001, 0.2, 6.0),
            Self::sigmoid(20_001),
            Self::relu(65_535 * 64 + 9, 0.2, f32::MAX),
        ]
        .map(|kernel| {
            let x = noise(kernel.len as usize, 1).iter().map(|x| 30.0 * x).collect();
            Sample { kernel, read: vec![x] }
        })
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&Activation, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn the_sigmoid_neither_overflows_nor_loses_small_values() {
        let x = [-200.0, -20.0, 0.0, 20.0, 200.0];
        for play in [Kernel::reference as Play, Kernel::native as Play] {
            let mut y = [f32::NAN; 5];
            play(&Activation::sigmoid(5), 1, &[&x], &mut [&mut y]);
            assert!(y[0] >= 0.0 && y[0] < 1e-37 && (y[1] / 2.061_153_6e-9 - 1.0).abs() < 1e-5, "{y:?}");
            assert!(y[2] == 0.5 && y[3] <= 1.0 && y[4] == 1.0, "{y:?}");
        }
    }
}
