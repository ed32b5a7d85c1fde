//! The per-channel parameters of batch norm and PReLU, combined in one record.

use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// One [`Affine`] per channel, with `inverse = 1 / √(variance + ε)`.
    ///
    /// Reads `mean`, `variance`, `scale`, `shift` and `slope: [c]`, where mean and variance are those of the
    /// batch ([`BatchMoments`](super::BatchMoments)) or running ones; writes `affine: [Affine; c]`. A slope
    /// of 1 means no activation, a slope of 0 ReLU.
    pub struct ChannelAffine { c: u32, epsilon: f32 }
}

/// Normalization of a channel with scale, shift and PReLU (`shared/affine.wgsl`):
/// `normal = (x - mean) inverse`, `y = prelu(normal scale + shift)`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Affine {
    /// Mean, which is subtracted.
    pub mean: f32,
    /// Reciprocal of the standard deviation.
    pub inverse: f32,
    /// Learned scale.
    pub scale: f32,
    /// Learned shift.
    pub shift: f32,
    /// Slope of PReLU for values that are not positive.
    pub slope: f32,
}

impl Affine {
    /// Size of a record in four-byte words.
    pub const WORDS: usize = 5;

    /// Returns the records in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(&slot[..slot.len() / Self::WORDS * Self::WORDS])
    }

    /// Returns the normalized `x` and the input of PReLU, in f64.
    pub(super) fn wide(&self, x: f32) -> [f64; 2] {
        let normal = (f64::from(x) - f64::from(self.mean)) * f64::from(self.inverse);
        [normal, normal * f64::from(self.scale) + f64::from(self.shift)]
    }

    /// Returns the same in f32, operation by operation as on the GPU.
    #[inline(always)]
    pub(super) fn narrow(&self, x: f32) -> [f32; 2] {
        let normal = (x - self.mean) * self.inverse;
        [normal, normal * self.scale + self.shift]
    }

    /// Returns the largest magnitudes, over all channels, to which activations of at most `x` can be
    /// normalized and scaled.
    pub(super) fn reach(affine: &[Self], x: f32) -> [f32; 2] {
        affine.iter().fold([0.0; 2], |[most, all], a| {
            let normal = (x + a.mean.abs()) * a.inverse.abs();
            [most.max(normal), all.max(normal * a.scale.abs() + a.shift.abs())]
        })
    }

    /// Returns records for samples, and activations whose scaled values are away from zero, where a rounding
    /// error would select the other slope.
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
    /// Creates the kernel for `c` channels; `epsilon` is added to the variance.
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

    /// Only the inverse root errs: 1 ulp for the sum and 2 for the root, as WGSL allows. The smallest
    /// variance has the largest inverse.
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
