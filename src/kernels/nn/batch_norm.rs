//! Batch norm and PReLU in one pass.

use rayon::prelude::*;

use super::prelu::SHAPES;
use super::{Affine, prelu};
use crate::kernels::together::Together;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::Shape;

crate::uniform! {
    /// `y = prelu((x - mean) inverse scale + shift)`, each channel with its own [`Affine`].
    ///
    /// Reads `x: [n, c, plane]` and `affine: [Affine; c]` of [`ChannelAffine`](super::ChannelAffine); writes
    /// `y: [n, c, plane]`.
    pub struct BatchNorm { n: u32, c: u32, plane: u32 }
}

impl BatchNorm {
    /// Over activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane() }
    }
}

impl Kernel for BatchNorm {
    const NAME: &'static str = "batch_norm";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_norm", "shared/grid", "shared/affine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.c * self.plane)
    }

    fn sizes(&self) -> Vec<usize> {
        let len = (self.n * self.c * self.plane) as usize;
        vec![len, self.c as usize * Affine::WORDS, len]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (affine, c, plane) = (Affine::list(read[1]), self.c as usize, self.plane as usize);
        for (i, y) in write[0][..self.sizes()[0]].iter_mut().enumerate() {
            let a = &affine[i / plane % c];
            *y = prelu(a.wide(read[0][i])[1], f64::from(a.slope)) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (affine, simd, together) = (Affine::list(read[1]), Simd::chosen(), Together::new(self.c, self.plane));
        let tasks = write[0][..self.sizes()[0]].par_chunks_mut(together.len()).zip(read[0].par_chunks(together.len()));
        tasks.enumerate().for_each(|(task, (y, x))| {
            simd.run(Plain(|| {
                for (k, (y, x)) in y.chunks_exact_mut(together.plane).zip(x.chunks_exact(together.plane)).enumerate() {
                    let a = affine[together.channel(task, k)];
                    x.iter().zip(y).for_each(|(x, y)| {
                        let z = a.narrow(*x)[1];
                        *y = if z > 0.0 { z } else { a.slope * z };
                    });
                }
            }));
        });
    }

    /// Four roundings of terms of at most what a channel reaches, and the slope's.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let affine = &Affine::list(read[1])[..self.c as usize];
        let slope = affine.iter().fold(1.0_f32, |most, a| most.max(a.slope.abs()));
        5.0 * Affine::reach(affine, largest(read[0]))[1] * slope * f32::EPSILON
    }
}

impl Samples for BatchNorm {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                let read = Affine::sample(shape.elements() as usize, shape.c() as usize, shape.plane() as usize);
                Sample { kernel: Self::new(&shape), read: read.to_vec() }
            })
            .to_vec()
    }
}
