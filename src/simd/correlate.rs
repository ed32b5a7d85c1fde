//! Gradients of a convolution's weights: the correlation of its input with the gradient of its output.

use std::ops::Range;

use super::scratch::Scratch;
use super::tile::GROUP;
use super::vector::turn;
use super::{Task, Vector};

/// Adds the contribution of some rows of one item to the gradients.
pub(crate) struct Correlate<'a> {
    /// Number of input channels.
    pub c: usize,
    /// Number of output channels.
    pub out: usize,
    /// Kernel side: 1, 2, 3 or 5.
    pub k: usize,
    /// Numbers of rows and columns of `dy`.
    pub size: [usize; 2],
    /// Rows of `dy` that contribute.
    pub rows: Range<usize>,
    /// Input, `[c, rows + k - 1, columns + k - 1]`.
    pub x: &'a [f32],
    /// Gradient of the output, `[out, rows, columns]`.
    pub dy: &'a [f32],
    /// Gradient of the weights, `[groups, c, k, k, 16]`.
    pub dweight: &'a mut [f32],
    /// Gradient of the bias, `[groups, 16]`.
    pub dbias: &'a mut [f32],
}

impl Task for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let ([h, w], padded) = (self.size, self.padded());
        let x = (h + self.k - 1) * (w + self.k - 1);
        assert!(self.x.len() >= self.c * x && self.dy.len() >= self.out * h * w && self.rows.end <= h, "a whole item");
        assert!(self.dweight.len() >= padded * self.c * self.k * self.k && self.dbias.len() >= padded, "whole weights");
        let pixels = self.rows.len() * w;
        let mut memory = Scratch::take();
        let [dy] = memory.parts([(pixels + V::LANES) * padded]);
        turn::<V>(&self.dy[self.rows.start * w..], [self.out, h * w, pixels], dy, padded);
        self.bias::<V>(&dy[..pixels * padded]);
        // Processes all taps of one input channel at a time, or as many channels as fill the registers.
        match (self.k, V::REGISTERS >= 32 && V::LANES == GROUP) {
            (5, true) => self.sweep::<V, 2, 2, 5>(dy),
            (3, true) => self.sweep::<V, 2, 3, 3>(dy),
            (2, true) => self.sweep::<V, 2, 6, 2>(dy),
            (1, true) => self.sweep::<V, 2, 8, 1>(dy),
            (5, false) => self.sweep::<V, 1, 2, 5>(dy),
            (3, false) => self.sweep::<V, 1, 3, 3>(dy),
            (2, false) => self.sweep::<V, 1, 4, 2>(dy),
            (1, false) => self.sweep::<V, 1, 8, 1>(dy),
            _ => unreachable!("a kernel of 1, 2, 3 or 5"),
        }
    }
}

impl Correlate<'_> {
    /// Returns the number of output channels, rounded up to whole groups.
    fn padded(&self) -> usize {
        self.out.next_multiple_of(GROUP)
    }

    /// Adds the contribution of `dy: [pixels, groups, 16]` to the gradient of the bias.
    #[inline(always)]
    fn bias<V: Vector>(&mut self, dy: &[f32]) {
        let padded = self.padded();
        for lane in (0..padded).step_by(V::LANES) {
            let mut sum = V::splat(0.0);
            for dy in dy.chunks_exact(padded) {
                // SAFETY: the slice starts with a whole vector of the pixel's lanes.
                sum = sum.add(unsafe { V::load(dy[lane..].as_ptr()) });
            }
            let bias = &mut self.dbias[lane..lane + V::LANES];
            // SAFETY: the slice has a vector's length.
            unsafe { V::load(bias.as_ptr()).add(sum).store(bias.as_mut_ptr()) };
        }
    }

    /// Computes all weight gradients, in blocks of `N` vectors of output channels and `ROWS` kernel rows of
    /// `K` taps each.
    #[inline(always)]
    fn sweep<V: Vector, const N: usize, const ROWS: usize, const K: usize>(&mut self, dy: &[f32]) {
        let padded = self.padded();
        let (x_h, x_w) = (self.size[0] + K - 1, self.size[1] + K - 1);
        // Row r of all kernels is row r % K of channel r / K.
        let place = |row: usize| (row / K * x_h + row % K) * x_w;
        for first in (0..self.c * K).step_by(ROWS) {
            let last = self.c * K - 1;
            let offsets: [usize; ROWS] = std::array::from_fn(|r| place((first + r).min(last)));
            let rows = ROWS.min(last + 1 - first);
            let mut lane = 0;
            while lane < padded {
                if lane + N * V::LANES <= padded {
                    self.tile::<V, N, ROWS, K>(dy, first, rows, &offsets, lane);
                    lane += N * V::LANES;
                } else {
                    self.tile::<V, 1, ROWS, K>(dy, first, rows, &offsets, lane);
                    lane += V::LANES;
                }
            }
        }
    }

    #[inline(always)]
    fn tile<V: Vector, const N: usize, const ROWS: usize, const K: usize>(
        &mut self,
        dy: &[f32],
        first: usize,
        rows: usize,
        offsets: &[usize; ROWS],
        lane: usize,
    ) {
        let ([_, w], padded) = (self.size, self.padded());
        assert!(dy.len() >= self.rows.len() * w * padded && lane + N * V::LANES <= padded, "all lanes of all pixels");
        let x_w = w + K - 1;
        let mut sums = [[[V::splat(0.0); N]; K]; ROWS];
        // SAFETY: `run` checked that x holds an item: the largest offset is the last row of the last kernel,
        // to which at most the last row of `dy` and its columns are added. `dy` holds `padded` lanes for
        // every pixel of the rows.
        unsafe {
            let mut dy = dy.as_ptr().add(lane);
            for row in self.rows.clone() {
                let mut x = self.x.as_ptr().add(row * x_w);
                for _ in 0..w {
                    let mut d = [V::splat(0.0); N];
                    for (n, d) in d.iter_mut().enumerate() {
                        *d = V::load(dy.add(n * V::LANES));
                    }
                    for (sums, offset) in sums.iter_mut().zip(offsets) {
                        for (v, sums) in sums.iter_mut().enumerate() {
                            let pixel = V::splat(*x.add(offset + v));
                            for (sum, d) in sums.iter_mut().zip(&d) {
                                *sum = d.mul_add(pixel, *sum);
                            }
                        }
                    }
                    dy = dy.add(padded);
                    x = x.add(1);
                }
            }
        }
        let taps = self.c * K * K;
        for (r, sums) in sums.iter().enumerate().take(rows) {
            for (v, sums) in sums.iter().enumerate() {
                for (n, sum) in sums.iter().enumerate() {
                    let lane = lane + n * V::LANES;
                    let at = (lane / GROUP * taps + (first + r) * K + v) * GROUP + lane % GROUP;
                    let weights = &mut self.dweight[at..at + V::LANES];
                    // SAFETY: the slice has a vector's length.
                    unsafe { V::splat(1.0).mul_add(*sum, V::load(weights.as_ptr())).store(weights.as_mut_ptr()) };
                }
            }
        }
    }
}
