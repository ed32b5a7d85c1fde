//! Gradients of PReLU.

use rayon::prelude::*;

use super::Slabs;
use super::prelu::SHAPES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx = dy (x > 0 ? 1 : slope[c])`, and sums of `min(x, 0) dy` by slabs (spec section 8).
    ///
    /// Reads `x: [n, c, plane]`, `slope: [c]` and `dy: [n, c, plane]`; writes `dx` and `dslope: [c, slabs]`. Slab `s` is every
    /// `slabs`-th place of a channel, from `s` on, all items end to end.
    pub struct PreluBackward { n: u32, c: u32, plane: u32, slabs: u32 }
}

impl PreluBackward {
    /// Over activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane(), slabs: Slabs::number(shape) }
    }

    /// Partial sums of a channel.
    pub fn slabs(&self) -> u32 {
        self.slabs
    }

    /// One plane of a channel, whose first element is place `first`.
    fn plane(&self, first: usize, [x, dy]: [&[f32]; 2], a: f32, dx: &mut [f32], sums: &mut [f32]) {
        let mut done = 0;
        while done < x.len() {
            let slab = (first + done) % sums.len();
            let len = (sums.len() - slab).min(x.len() - done);
            let (x, dy, dx) = (&x[done..][..len], &dy[done..][..len], &mut dx[done..][..len]);
            for (((x, d), dx), sum) in x.iter().zip(dy).zip(dx).zip(&mut sums[slab..]) {
                *dx = if *x > 0.0 { *d } else { a * d };
                *sum += if *x > 0.0 { 0.0 } else { x * d };
            }
            done += len;
        }
    }
}

impl Kernel for PreluBackward {
    const NAME: &'static str = "prelu_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::WRITE, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.slabs, together: 1, items: None, rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        let len = (self.n * self.c * self.plane) as usize;
        vec![len, self.c as usize, len, len, (self.c * self.slabs) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, slope, dy] = read else { unreachable!("checked when recorded") };
        let (c, plane) = (self.c as usize, self.plane as usize);
        for channel in 0..c {
            for slab in 0..self.slabs as usize {
                let mut sum = 0.0;
                for place in (slab..self.n as usize * plane).step_by(self.slabs as usize) {
                    let i = (place / plane * c + channel) * plane + place % plane;
                    let (v, d) = (f64::from(x[i]), f64::from(dy[i]));
                    write[0][i] = if v > 0.0 { d } else { f64::from(slope[channel]) * d } as f32;
                    sum += if v > 0.0 { 0.0 } else { v * d };
                }
                write[1][channel * self.slabs as usize + slab] = sum as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, slope, dy] = read else { unreachable!("checked when recorded") };
        let (c, plane, simd) = (self.c as usize, self.plane as usize, Simd::chosen());
        let [dx, dslope] = write else { unreachable!("checked when recorded") };
        let len = self.n as usize * c * plane;
        if plane == 1 {
            // Channels are neighbours.
            dslope.fill(0.0);
            for (n, ((x, dy), dx)) in x[..len].chunks_exact(c).zip(dy.chunks_exact(c)).zip(dx.chunks_exact_mut(c)).enumerate() {
                let sums = dslope[n % self.slabs as usize..].iter_mut().step_by(self.slabs as usize);
                for ((((x, a), d), dx), sum) in x.iter().zip(*slope).zip(dy).zip(dx).zip(sums) {
                    *dx = if *x > 0.0 { *d } else { a * d };
                    *sum += if *x > 0.0 { 0.0 } else { x * d };
                }
            }
            return;
        }
        // A task is a channel: its planes of all items, and its row of partial sums.
        let mut channels: Vec<Vec<&mut [f32]>> = (0..c).map(|_| Vec::with_capacity(self.n as usize)).collect();
        dx[..len].chunks_exact_mut(plane).enumerate().for_each(|(i, dx)| channels[i % c].push(dx));
        channels.into_par_iter().zip(dslope.par_chunks_exact_mut(self.slabs as usize)).enumerate().for_each(|(channel, (planes, sums))| {
            sums.fill(0.0);
            simd.run(Plain(|| {
                for (n, dx) in planes.into_iter().enumerate() {
                    let at = (n * c + channel) * plane;
                    self.plane(n * plane, [&x[at..][..plane], &dy[at..][..plane]], slope[channel], dx, sums);
                }
            }));
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = (self.n * self.plane).div_ceil(self.slabs) + 1;
        terms as f32 * (1.0 + largest(read[2])) * largest(read[0]).max(largest(read[1])).max(1.0) * f32::EPSILON
    }
}

impl Samples for PreluBackward {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                let len = shape.elements() as usize;
                Sample { kernel: Self::new(&shape), read: vec![noise(len, 1), noise(shape.c() as usize, 2), noise(len, 3)] }
            })
            .to_vec()
    }
}
