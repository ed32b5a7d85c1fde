//! Gradients of PReLU with max pooling behind it.

use rayon::prelude::*;

use super::prelu;
use super::prelu_pool::CASES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolBackward, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// A window's gradient goes to its first maximum in raster order, and from there through PReLU (spec section 8).
    ///
    /// Reads `z: [n, c, z_h, z_w]`, `slope: [c]` and `dy: [n, c, y_h, y_w]`; writes `dz` and `dslope: [slabs, c]`, sums of `min(z, 0)` times
    /// what came through the windows. A slab is a pair of neighbouring columns of `items` items.
    pub struct PreluPoolBackward { n: u32, c: u32, k: u32, items: u32, z_h: u32, z_w: u32, y_h: u32, y_w: u32 }
}

impl PreluPoolBackward {
    /// Of the pooling of `z` to `y` in windows of `k x k`, both of one level, of which some thousand invocations
    /// may work on a channel.
    pub fn new(z: &Shape, y: &Shape, k: u32, width: u32) -> Self {
        let (from, to) = (z.levels()[0], y.levels()[0]);
        let items = (z.n() * from.w.div_ceil(2)).div_ceil((width / 16).max(1 << 10));
        Self { n: z.n(), c: z.c(), k, items, z_h: from.h, z_w: from.w, y_h: to.h, y_w: to.w }
    }

    /// Partial sums of a channel.
    pub fn slabs(&self) -> u32 {
        self.n.div_ceil(self.items) * self.z_w.div_ceil(2)
    }

    fn planes(&self) -> [usize; 2] {
        [(self.z_h * self.z_w) as usize, (self.y_h * self.y_w) as usize]
    }

    /// One plane: `dz`, and what it adds to the slope's sums, a column pair each.
    fn plane(&self, [z, dy]: [&[f32]; 2], slope: f32, dz: &mut [f32], sums: &mut [f64]) {
        let mut through = vec![0.0_f64; z.len()];
        for (window, d) in dy.iter().enumerate() {
            let (row, column) = (window as u32 / self.y_w * 2, window as u32 % self.y_w * 2);
            let mut best = (row * self.z_w + column) as usize;
            for i in row..(row + self.k).min(self.z_h) {
                for j in column..(column + self.k).min(self.z_w) {
                    let at = (i * self.z_w + j) as usize;
                    best = if prelu(z[at], slope) > prelu(z[best], slope) { at } else { best };
                }
            }
            through[best] += f64::from(*d);
        }
        for (place, (d, z)) in through.into_iter().zip(z).enumerate() {
            dz[place] = if *z > 0.0 { d } else { f64::from(slope) * d } as f32;
            sums[place % self.z_w as usize / 2] += if *z > 0.0 { 0.0 } else { f64::from(*z) * d };
        }
    }
}

impl Kernel for PreluPoolBackward {
    const NAME: &'static str = "prelu_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu_pool_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::WRITE, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.slabs(), together: 1, items: None, rows: self.c }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn sizes(&self) -> Vec<usize> {
        let ([z, y], planes) = (self.planes(), (self.n * self.c) as usize);
        vec![planes * z, self.c as usize, planes * y, planes * z, (self.slabs() * self.c) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, pairs) = (self.planes(), self.c as usize, self.z_w.div_ceil(2) as usize);
        let [dz, dslope] = write else { unreachable!("checked when recorded") };
        for (group, dslope) in dslope.chunks_exact_mut(pairs * c).enumerate() {
            let first = group * self.items as usize;
            for channel in 0..c {
                let mut sums = vec![0.0; pairs];
                for at in (first..(first + self.items as usize).min(self.n as usize)).map(|item| item * c + channel) {
                    let from = [&read[0][at * z..][..z], &read[2][at * y..][..y]];
                    self.plane(from, read[1][channel], &mut dz[at * z..][..z], &mut sums);
                }
                sums.iter().enumerate().for_each(|(pair, sum)| dslope[pair * c + channel] = *sum as f32);
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, simd) = (self.planes(), self.c as usize, Simd::chosen());
        let [dz, dslope] = write else { unreachable!("checked when recorded") };
        let (group, pairs) = (self.items as usize * c, self.z_w.div_ceil(2) as usize);
        let size = [self.z_h, self.z_w, self.y_h, self.y_w].map(|size| size as usize);
        let read = (read[0].par_chunks(group * z).zip(read[2].par_chunks(group * y)), read[1]);
        let tasks = read.0.zip(dz.par_chunks_mut(group * z)).zip(dslope.par_chunks_exact_mut(pairs * c));
        tasks.for_each(|(((z_all, dy), dz), dslope)| {
            dslope.fill(0.0);
            let planes = z_all.chunks_exact(z).zip(dy.chunks_exact(y)).zip(dz.chunks_exact_mut(z));
            for (at, ((z, dy), dz)) in planes.enumerate() {
                let (slope, sums) = (read.1[at % c], &mut dslope[at % c..]);
                if self.k == 2 {
                    simd.run(PoolBackward::<2> { size, z, slope, dy, dz, sums, channels: c });
                } else {
                    simd.run(PoolBackward::<3> { size, z, slope, dy, dz, sums, channels: c });
                }
            }
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        // A pair of columns, each element of which sums up to four windows.
        let terms = (self.items * self.z_h * 2 * 4 + 2) as f32;
        terms * 4.0 * largest(read[2]) * largest(read[0]).max(largest(read[1])).max(1.0) * f32::EPSILON
    }
}

impl Samples for PreluPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .into_iter()
            .map(|(shape, k)| {
                let z = Shape::new(shape).expect("a valid sample");
                let (_, y) = super::PreluPool::new(&z, k).expect("a valid sample");
                // Few values, so that many windows have several maxima.
                let data = noise(z.elements() as usize, 1).into_iter().map(|v| (v * 3.0).round()).collect();
                let read = vec![data, noise(z.c() as usize, 2), noise(y.elements() as usize, 3)];
                Sample { kernel: Self::new(&z, &y, k, 1 << 12), read }
            })
            .collect()
    }
}
