//! Gradients of PReLU with max pooling behind it.

use rayon::prelude::*;

use super::PreluPool;
use super::prelu_pool::cases;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolBackward, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// A window's gradient goes to its first maximum in raster order, and from there through PReLU (spec
    /// section 8).
    ///
    /// Reads `best` and `places` of [`PreluPool`], `slope: [c]` and `dy: [n, c, y_h, y_w]`; writes
    /// `dz: [n, c, z_h, z_w]` and `dslope: [slabs, c]`, sums of `min(best, 0) dy`. A slab is a column of
    /// windows, or of blocks of two by two elements behind the last one, of `items` items.
    pub struct PreluPoolBackward { n: u32, c: u32, k: u32, items: u32, z_h: u32, z_w: u32, y_h: u32, y_w: u32 }
}

impl PreluPoolBackward {
    /// Of the pooling of `z` to `y` in windows of `k x k`, both of one level, of which some thousand
    /// invocations may work on a channel.
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

    /// One plane: `dz`, and what it adds to the slope's sums, by columns of windows.
    fn plane(&self, [best, places, dy]: [&[f32]; 3], slope: f32, dz: &mut [f32], sums: &mut [f64]) {
        let mut through = vec![0.0_f64; dz.len()];
        let mut factors = vec![0.0_f64; dz.len()];
        for (window, (best, dy)) in best.iter().zip(dy).enumerate() {
            let (row, column) = (window as u32 / self.y_w, window as u32 % self.y_w);
            let place = places[window].to_bits();
            let element = ((2 * row + place / self.k) * self.z_w + 2 * column + place % self.k) as usize;
            through[element] += f64::from(*dy);
            factors[element] = if *best > 0.0 { 1.0 } else { f64::from(slope) };
            sums[column as usize] += if *best > 0.0 { 0.0 } else { f64::from(*best) * f64::from(*dy) };
        }
        dz.iter_mut().zip(through).zip(factors).for_each(|((dz, d), factor)| *dz = (factor * d) as f32);
    }
}

impl Kernel for PreluPoolBackward {
    const NAME: &'static str = "prelu_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu_pool_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::READ, Binding::WRITE, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.slabs(), together: 1, items: None, rows: self.c }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn sizes(&self) -> Vec<usize> {
        let ([z, y], planes) = (self.planes(), (self.n * self.c) as usize);
        vec![planes * y, planes * y, self.c as usize, planes * y, planes * z, (self.slabs() * self.c) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, columns) = (self.planes(), self.c as usize, self.z_w.div_ceil(2) as usize);
        let [dz, dslope] = write else { unreachable!("checked when recorded") };
        for (group, dslope) in dslope.chunks_exact_mut(columns * c).enumerate() {
            let first = group * self.items as usize;
            for channel in 0..c {
                let mut sums = vec![0.0; columns];
                for at in (first..(first + self.items as usize).min(self.n as usize)).map(|item| item * c + channel) {
                    let from = [read[0], read[1], read[3]].map(|from| &from[at * y..][..y]);
                    self.plane(from, read[2][channel], &mut dz[at * z..][..z], &mut sums);
                }
                sums.iter().enumerate().for_each(|(column, sum)| dslope[column * c + channel] = *sum as f32);
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, simd) = (self.planes(), self.c as usize, Simd::chosen());
        let [dz, dslope] = write else { unreachable!("checked when recorded") };
        let (group, columns) = (self.items as usize * c, self.z_w.div_ceil(2) as usize);
        let size = [self.z_h, self.z_w, self.y_h, self.y_w].map(|size| size as usize);
        let tasks = dz.par_chunks_mut(group * z).zip(dslope.par_chunks_exact_mut(columns * c)).enumerate();
        tasks.for_each(|(first, (dz, dslope))| {
            dslope.fill(0.0);
            for (at, dz) in dz.chunks_exact_mut(z).enumerate() {
                let [best, places, dy] = [read[0], read[1], read[3]].map(|from| &from[(first * group + at) * y..][..y]);
                let (slope, sums) = (read[2][at % c], &mut dslope[at % c..]);
                if self.k == 2 {
                    simd.run(PoolBackward::<2> { size, best, places, slope, dy, dz, sums, channels: c });
                } else {
                    simd.run(PoolBackward::<3> { size, best, places, slope, dy, dz, sums, channels: c });
                }
            }
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        // A sum over windows, or an element of up to four of them, and PReLU.
        let terms = (self.items * self.y_h + 4 + 2) as f32;
        terms * largest(read[3]) * largest(read[0]).max(largest(read[2])).max(1.0) * f32::EPSILON
    }
}

impl Samples for PreluPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        let sample = |(shape, k, [z, slope]): (Shape, u32, [Vec<f32>; 2])| {
            let (forward, y) = PreluPool::new(&shape, k).expect("a valid sample");
            let [mut largest, mut best, mut places] = [1, 2, 3].map(|_| vec![f32::NAN; y.elements() as usize]);
            forward.reference(shape.n(), &[&z, &slope], &mut [&mut largest, &mut best, &mut places]);
            Sample { kernel: Self::new(&shape, &y, k, 1 << 12), read: vec![best, places, slope, noise(y.elements() as usize, 3)] }
        };
        cases().map(sample).collect()
    }
}
