//! Sums that the gradients of batch norm and PReLU are made of.

use rayon::prelude::*;

use super::prelu::SHAPES;
use super::{Affine, Slabs};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `Σ dz`, `Σ dz normal` and `Σ dy min(z, 0)` of every slab of every channel, where
    /// `normal = (x - mean) inverse`, `z = normal scale + shift` and `dz = dy (z > 0 ? 1 : slope)`.
    ///
    /// Reads `x` and `dy: [n, c, plane]` and `affine: [Affine; c]`; writes `partial: [c, 3, slabs]`. Slab `s`
    /// is every `slabs`-th place of a channel, from `s` on, all items end to end.
    pub struct BatchNormSums { n: u32, c: u32, plane: u32, slabs: u32 }
}

impl BatchNormSums {
    /// Over activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane(), slabs: Slabs::number(shape) }
    }

    /// Slabs of a channel.
    pub fn slabs(&self) -> u32 {
        self.slabs
    }

    /// Elements of `partial`.
    pub fn partials(&self) -> u32 {
        3 * self.c * self.slabs
    }

    fn layout(&self) -> Slabs {
        Slabs::new([self.n, self.c, self.plane, self.slabs])
    }
}

impl Kernel for BatchNormSums {
    const NAME: &'static str = "batch_norm_sums";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_norm_sums", "shared/affine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.c, ..Work::linear(self.slabs) }
    }

    fn sizes(&self) -> Vec<usize> {
        let len = (self.n * self.c * self.plane) as usize;
        vec![len, len, self.c as usize * Affine::WORDS, self.partials() as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, dy, affine], layout) = (read, self.layout()) else { unreachable!("checked when recorded") };
        let slabs = layout.count();
        for (channel, a) in Affine::list(affine).iter().enumerate().take(self.c as usize) {
            for slab in 0..slabs {
                let mut sums = [0.0; 3];
                for i in layout.elements(channel, slab) {
                    let ([normal, z], d) = (a.wide(x[i]), f64::from(dy[i]));
                    let dz = if z > 0.0 { d } else { d * f64::from(a.slope) };
                    let terms = [dz, dz * normal, d * z.min(0.0)];
                    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
                }
                sums.iter().enumerate().for_each(|(k, sum)| write[0][(3 * channel + k) * slabs + slab] = *sum as f32);
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([x, dy, affine], layout) = (read, self.layout()) else { unreachable!("checked when recorded") };
        let (affine, simd, slabs) = (Affine::list(affine), Simd::chosen(), layout.count());
        write[0][..self.partials() as usize].par_chunks_exact_mut(3 * slabs).zip(affine).enumerate().for_each(|(channel, (sums, a))| {
            sums.fill(0.0);
            let (shift, rest) = sums.split_at_mut(slabs);
            let (scale, slope) = rest.split_at_mut(slabs);
            let a = *a;
            simd.run(Plain(|| {
                layout.runs(channel, |at, slab, len| {
                    let sums = shift[slab..][..len].iter_mut().zip(&mut scale[slab..][..len]).zip(&mut slope[slab..][..len]);
                    for ((x, d), ((shift, scale), slope)) in x[at..][..len].iter().zip(&dy[at..][..len]).zip(sums) {
                        let [normal, z] = a.narrow(*x);
                        let dz = if z > 0.0 { *d } else { a.slope * d };
                        *shift += dz;
                        *scale += dz * normal;
                        *slope += if z > 0.0 { 0.0 } else { z * d };
                    }
                });
            }));
        });
    }

    /// Terms summed, and six roundings of each, times the largest.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let affine = &Affine::list(read[2])[..self.c as usize];
        let slope = affine.iter().fold(1.0_f32, |most, a| most.max(a.slope.abs()));
        let [normal, scaled] = Affine::reach(affine, largest(read[0]));
        let terms = self.layout().terms() + 6;
        terms as f32 * largest(read[1]) * slope * normal.max(scaled).max(1.0) * f32::EPSILON
    }
}

impl Samples for BatchNormSums {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                let len = shape.elements() as usize;
                let [x, affine] = Affine::sample(len, shape.c() as usize, shape.plane() as usize);
                Sample { kernel: Self::new(&shape), read: vec![x, noise(len, 3), affine] }
            })
            .to_vec()
    }
}
