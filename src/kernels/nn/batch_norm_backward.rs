//! Gradient of the input of batch norm and PReLU.

use rayon::prelude::*;

use super::Affine;
use super::prelu::SHAPES;
use crate::kernels::together::Together;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx += scale inverse (dz - share (Σ dz + normal Σ dz normal))`, where `normal = (x - mean) inverse`,
    /// `z = normal scale + shift` and `dz = dy (z > 0 ? 1 : slope)`.
    ///
    /// Reads `x` and `dy: [n, c, plane]`, `affine: [Affine; c]` and `sums: [c, 2]` of
    /// [`BatchNormGradients`](super::BatchNormGradients); adds to `dx`.
    pub struct BatchNormBackward { n: u32, c: u32, plane: u32, share: f32 }
}

impl BatchNormBackward {
    /// Where mean and variance are those of the batch, through which gradients flow too.
    pub fn batch(shape: &Shape) -> Self {
        Self { share: 1.0 / (shape.n() * shape.plane()) as f32, ..Self::running(shape) }
    }

    /// Where mean and variance are constants. `sums` count for nothing then; any finite slot will do, such as
    /// `affine` once more.
    pub fn running(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane(), share: 0.0 }
    }
}

impl Kernel for BatchNormBackward {
    const NAME: &'static str = "batch_norm_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_norm_backward", "shared/grid", "shared/affine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.c * self.plane)
    }

    fn sizes(&self) -> Vec<usize> {
        let (len, c) = ((self.n * self.c * self.plane) as usize, self.c as usize);
        vec![len, len, c * Affine::WORDS, 2 * c, len]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, dy, affine, sums] = read else { unreachable!("checked when recorded") };
        let (affine, c, plane, wide) = (Affine::list(affine), self.c as usize, self.plane as usize, f64::from);
        for (i, dx) in write[0][..self.sizes()[0]].iter_mut().enumerate() {
            let channel = i / plane % c;
            let (a, d) = (&affine[channel], wide(dy[i]));
            let [normal, z] = a.wide(x[i]);
            let dz = if z > 0.0 { d } else { wide(a.slope) * d };
            let mean = wide(self.share) * (wide(sums[2 * channel]) + normal * wide(sums[2 * channel + 1]));
            *dx = (wide(*dx) + wide(a.scale) * wide(a.inverse) * (dz - mean)) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, dy, affine, sums] = read else { unreachable!("checked when recorded") };
        let (affine, simd, together) = (Affine::list(affine), Simd::chosen(), Together::new(self.c, self.plane));
        let (len, plane) = (together.len(), together.plane);
        let tasks = write[0][..self.sizes()[0]].par_chunks_mut(len).zip(x.par_chunks(len)).zip(dy.par_chunks(len));
        tasks.enumerate().for_each(|(task, ((dx, x), dy))| {
            simd.run(Plain(|| {
                let planes = dx.chunks_exact_mut(plane).zip(x.chunks_exact(plane)).zip(dy.chunks_exact(plane));
                for (k, ((dx, x), dy)) in planes.enumerate() {
                    let channel = together.channel(task, k);
                    let (a, factor) = (affine[channel], affine[channel].scale * affine[channel].inverse);
                    let [shift, scale] = [sums[2 * channel], sums[2 * channel + 1]].map(|sum| self.share * sum);
                    for ((dx, x), d) in dx.iter_mut().zip(x).zip(dy) {
                        let [normal, z] = a.narrow(*x);
                        let dz = if z > 0.0 { *d } else { a.slope * d };
                        *dx += factor * (dz - (shift + normal * scale));
                    }
                }
            }));
        });
    }

    /// Ten roundings of terms of at most what a channel reaches.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let affine = &Affine::list(read[2])[..self.c as usize];
        let most = |value: fn(&Affine) -> f32| affine.iter().fold(0.0_f32, |most, a| most.max(value(a)));
        let normal = Affine::reach(affine, largest(read[0]))[0];
        let dz = largest(read[1]) * most(|a| a.slope.abs()).max(1.0);
        let mean = self.share * largest(&read[3][..2 * self.c as usize]) * (1.0 + normal);
        (1.0 + 10.0 * most(|a| (a.scale * a.inverse).abs()) * (dz + mean)) * f32::EPSILON
    }
}

impl Samples for BatchNormBackward {
    fn samples() -> Vec<Sample<Self>> {
        let shapes = SHAPES.map(|shape| Shape::new(shape).expect("a valid sample"));
        let kernels = shapes.iter().flat_map(|shape| [(Self::batch(shape), shape), (Self::running(shape), shape)]);
        kernels
            .map(|(kernel, shape)| {
                let (len, c) = (shape.elements() as usize, shape.c() as usize);
                let [x, affine] = Affine::sample(len, c, shape.plane() as usize);
                // Sums as large as the batch makes them, so that they count.
                let sums = noise(2 * c, 4).iter().map(|sum| sum * (len / c) as f32).collect();
                Sample { kernel, read: vec![x, noise(len, 3), affine, sums] }
            })
            .collect()
    }
}
