//! Gradients of a convolution's weights and bias.

use rayon::prelude::*;

use super::conv_backward_input::CASES;
use super::{GROUP, grid};
use crate::kernels::canary::Loops;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Correlate, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// Partial sums of `dy[n,o,i,j] x[n,c,i+u,j+v]` and of `dy[n,o,i,j]` over slabs of `lines` rows (spec
    /// section 8).
    ///
    /// Reads `x: [n, c, y_h + k - 1, y_w + k - 1]` and `dy: [n, out, y_h, y_w]`; writes
    /// `dweight: [slabs, packed]` and `dbias: [slabs, padded]`, packed as [`Conv`](super::Conv) packs
    /// weights.
    pub struct ConvBackwardWeight { n: u32, c: u32, out: u32, k: u32, y_h: u32, y_w: u32, slabs: u32, lines: u32 }
}

impl ConvBackwardWeight {
    /// Creates the kernel for a `k x k` convolution from `c` channels to an output of shape `y`, which has
    /// one level, with about `width` invocations.
    ///
    /// # Panics
    ///
    /// Panics if `k` is 4 or over 5: no trained net has such a kernel.
    pub fn new(c: u32, y: &Shape, k: u32, width: u32) -> Self {
        assert!([1, 2, 3, 5].contains(&k), "a {k} x {k} convolution is not trained");
        let (level, groups) = (y.levels()[0], y.c().div_ceil(GROUP as u32));
        let all = y.n() * level.h;
        let lines = all.div_ceil((width / (groups * c)).clamp(1, width / 16)).min((Loops::SAFE / 2 / level.w).max(1));
        Self { n: y.n(), c, out: y.c(), k, y_h: level.h, y_w: level.w, slabs: all.div_ceil(lines), lines }
    }

    /// Returns the number of slabs, which is the number of partial sums per gradient.
    pub fn slabs(&self) -> u32 {
        self.slabs
    }

    /// Returns the number of elements of the packed weight gradient and of the packed bias gradient.
    pub fn lens(&self) -> [usize; 2] {
        let padded = self.out.next_multiple_of(GROUP as u32) as usize;
        [padded * (self.c * self.k * self.k) as usize, padded]
    }

    /// Returns the number of elements of an item of `x` and of `dy`.
    fn items(&self) -> [usize; 2] {
        let x = (self.y_h + self.k - 1) * (self.y_w + self.k - 1);
        [(self.c * x) as usize, (self.out * self.y_h * self.y_w) as usize]
    }

    /// Returns the items, each with the rows of `dy` that belong to `slab`.
    fn rows(&self, slab: usize) -> impl Iterator<Item = (usize, std::ops::Range<usize>)> + use<> {
        let h = self.y_h as usize;
        let first = slab * self.lines as usize;
        let last = (first + self.lines as usize).min(self.n as usize * h);
        (first / h..last.div_ceil(h)).map(move |n| (n, first.max(n * h) - n * h..last.min((n + 1) * h) - n * h))
    }
}

impl Kernel for ConvBackwardWeight {
    const NAME: &'static str = "conv_backward_weight";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv_backward_weight");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        // Number of blocks of 3 x 3 taps.
        let blocks = self.k.div_ceil(3).pow(2);
        Work::linear(self.slabs * self.out.div_ceil(GROUP as u32) * self.c * blocks)
    }

    fn sizes(&self) -> Vec<usize> {
        let ([x, y], [weight, bias]) = (self.items(), self.lens());
        let (n, slabs) = (self.n as usize, self.slabs as usize);
        vec![n * x, n * y, slabs * weight, slabs * bias]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, out, k, [x_item, y_item]) = (self.c as usize, self.out as usize, self.k as usize, self.items());
        let (y_h, y_w, x_w) = (self.y_h as usize, self.y_w as usize, (self.y_w + self.k - 1) as usize);
        let [weights, biases] = self.lens();
        for slab in 0..self.slabs as usize {
            let dy = |o: usize, n: usize, i: usize, j: usize| {
                if o < out { f64::from(read[1][n * y_item + (o * y_h + i) * y_w + j]) } else { 0.0 }
            };
            let places = || self.rows(slab).flat_map(move |(n, rows)| rows.flat_map(move |i| (0..y_w).map(move |j| (n, i, j))));
            for o in 0..biases {
                write[1][slab * biases + o] = places().map(|(n, i, j)| dy(o, n, i, j)).sum::<f64>() as f32;
                for (channel, u, v) in grid(c, k, k) {
                    let x = |n: usize, i: usize, j: usize| f64::from(read[0][n * x_item + (channel * (y_h + k - 1) + i + u) * x_w + j + v]);
                    let tap = ((o / GROUP * c + channel) * k * k + u * k + v) * GROUP + o % GROUP;
                    write[0][slab * weights + tap] = places().map(|(n, i, j)| dy(o, n, i, j) * x(n, i, j)).sum::<f64>() as f32;
                }
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (simd, [x_item, y_item], [weights, biases]) = (Simd::chosen(), self.items(), self.lens());
        let [dweight, dbias] = write else { unreachable!("checked when recorded") };
        let slabs = dweight.par_chunks_exact_mut(weights).zip(dbias.par_chunks_exact_mut(biases)).take(self.slabs as usize);
        slabs.enumerate().for_each(|(slab, (dweight, dbias))| {
            dweight.fill(0.0);
            dbias.fill(0.0);
            for (n, rows) in self.rows(slab) {
                let (x, dy) = (&read[0][n * x_item..][..x_item], &read[1][n * y_item..][..y_item]);
                let (c, out, k) = (self.c as usize, self.out as usize, self.k as usize);
                let size = [self.y_h as usize, self.y_w as usize];
                simd.run(Correlate { c, out, k, size, rows, x, dy, dweight, dbias });
            }
        });
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        [self.n, self.out, self.y_h, self.y_w, self.c, self.k, self.k].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = (self.lines * self.y_w) as f32;
        terms * largest(read[1]) * largest(read[0]).max(1.0) * f32::EPSILON
    }
}

impl Samples for ConvBackwardWeight {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .into_iter()
            .zip([1 << 12, 1 << 16].into_iter().cycle())
            .map(|([n, c, h, w, out, k], width)| {
                let y = Shape::new([n, out, h + 1 - k, w + 1 - k]).expect("a valid sample");
                Sample {
                    kernel: Self::new(c, &y, k, width),
                    read: vec![noise((n * c * h * w) as usize, 1), noise(y.elements() as usize, 2)],
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_cover_every_row_once_and_stay_below_the_longest_loop() {
        let cases = CASES.into_iter().chain([[512, 3, 48, 48, 32, 3], [1024, 3, 12, 12, 10, 3]]);
        for ([n, c, h, w, out, k], width) in cases.flat_map(|case| [(case, 1 << 12), (case, 1 << 16)]) {
            let y = Shape::new([n, out, h + 1 - k, w + 1 - k]).unwrap();
            let kernel = ConvBackwardWeight::new(c, &y, k, width);
            let rows: Vec<(usize, usize)> =
                (0..kernel.slabs as usize).flat_map(|slab| kernel.rows(slab)).flat_map(|(n, rows)| rows.map(move |i| (n, i))).collect();
            let want: Vec<(usize, usize)> = (0..n as usize).flat_map(|n| (0..(h + 1 - k) as usize).map(move |i| (n, i))).collect();
            assert_eq!(rows, want);
            assert!(kernel.lines * (kernel.y_w + 1) <= Loops::SAFE);
        }
    }
}
