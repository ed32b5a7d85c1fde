//! What batch norm and PReLU need of each channel, in one place.

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// One [`Affine`] per channel, with `inverse = 1 / √(variance + ε)`.
    ///
    /// Reads `mean`, `variance`, `scale`, `shift` and `slope: [c]`, mean and variance of the batch
    /// ([`BatchMoments`](super::BatchMoments)) or running ones; writes `affine: [Affine; c]`. A slope of 1 is
    /// no activation, of 0 ReLU.
    pub struct ChannelAffine { c: u32, epsilon: f32 }
}

/// Normalization of a channel with scale, shift and PReLU (`shared/affine.wgsl`):
/// `normal = (x - mean) inverse`, `y = prelu(normal scale + shift)`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Affine {
    /// Taken off.
    pub mean: f32,
    /// One over the deviation.
    pub inverse: f32,
    /// Learned factor.
    pub scale: f32,
    /// Learned summand.
    pub shift: f32,
    /// Of values that are not positive then.
    pub slope: f32,
}

impl Affine {
    /// Four-byte words.
    pub const WORDS: usize = 5;

    /// Those in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(&slot[..slot.len() / Self::WORDS * Self::WORDS])
    }

    /// Normalized `x`, and what goes into PReLU.
    pub(super) fn wide(&self, x: f32) -> [f64; 2] {
        let normal = (f64::from(x) - f64::from(self.mean)) * f64::from(self.inverse);
        [normal, normal * f64::from(self.scale) + f64::from(self.shift)]
    }

    /// The same in f32, operation by operation as on the GPU.
    #[inline(always)]
    pub(super) fn narrow(&self, x: f32) -> [f32; 2] {
        let normal = (x - self.mean) * self.inverse;
        [normal, normal * self.scale + self.shift]
    }

    /// Largest magnitudes that activations of at most `x` can be normalized and scaled to, over all channels.
    pub(super) fn reach(affine: &[Self], x: f32) -> [f32; 2] {
        affine.iter().fold([0.0; 2], |[most, all], a| {
            let normal = (x + a.mean.abs()) * a.inverse.abs();
            [most.max(normal), all.max(normal * a.scale.abs() + a.shift.abs())]
        })
    }

    /// Affines for samples, and activations whose scaled values are off zero, where a rounding would choose
    /// another slope.
    pub(super) fn sample(len: usize, c: usize, plane: usize) -> [Vec<f32>; 2] {
        let values = noise(Self::WORDS * c, 11);
        let affine = |r: &[f32]| Self { mean: r[0], inverse: 1.5 + r[1], scale: 1.0 + 0.5 * r[2], shift: r[3], slope: r[4] };
        let affine: Vec<Self> = values.chunks_exact(Self::WORDS).map(affine).collect();
        let mut x = noise(len, 1);
        for (i, x) in x.iter_mut().enumerate() {
            let a = &affine[i / plane % c];
            while a.wide(*x)[1].abs() < 1e-3 {
                *x += 0.01;
            }
        }
        [x, bytemuck::cast_slice(&affine).to_vec()]
    }
}

impl ChannelAffine {
    /// Of `c` channels, `epsilon` added to the variance.
    pub fn new(c: u32, epsilon: f64) -> Self {
        Self { c, epsilon: epsilon as f32 }
    }
}

impl Kernel for ChannelAffine {
    const NAME: &'static str = "channel_affine";
    const WGSL: &'static [&'static str] = wgsl!("nn/channel_affine", "shared/grid", "shared/affine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.c)
    }

    fn sizes(&self) -> Vec<usize> {
        let c = self.c as usize;
        vec![c, c, c, c, c, c * Affine::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (i, affine) in write[0].chunks_exact_mut(Affine::WORDS).take(self.c as usize).enumerate() {
            let inverse = (f64::from(read[1][i]) + f64::from(self.epsilon)).sqrt().recip();
            affine.copy_from_slice(&[read[0][i], inverse as f32, read[2][i], read[3][i], read[4][i]]);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let affine: &mut [Affine] = bytemuck::cast_slice_mut(&mut write[0][..self.c as usize * Affine::WORDS]);
        for (i, affine) in affine.iter_mut().enumerate() {
            let inverse = 1.0 / (read[1][i] + self.epsilon).sqrt();
            *affine = Affine { mean: read[0][i], inverse, scale: read[2][i], shift: read[3][i], slope: read[4][i] };
        }
    }

    /// Of the inverse root alone: 1 ulp of the sum, 2 of the root, as WGSL allows; the least variance has the
    /// largest.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let least = read[1][..self.c as usize].iter().fold(f32::INFINITY, |least, variance| least.min(*variance));
        4.0 / (least + self.epsilon).sqrt() * f32::EPSILON
    }
}

impl Samples for ChannelAffine {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1e-5), (65, 0.1), (1000, 1e-3)]
            .map(|(c, epsilon)| {
                let mut read: Vec<Vec<f32>> = (0..5).map(|seed| noise(c as usize, seed)).collect();
                read[1].iter_mut().for_each(|variance| *variance = variance.abs());
                Sample { kernel: Self::new(c, epsilon), read }
            })
            .to_vec()
    }
}
