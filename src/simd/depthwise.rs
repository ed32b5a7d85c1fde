//! Depthwise convolution, which has a window of its own for every channel.

use super::product::activated;
use super::scratch::Scratch;
use super::{Task, Vector};

/// A channel of the result, from that of the input: `y[i,j] = bias + Σ_{u,v} weight[u,v] x[i stride + u -
/// padding, j stride + v - padding]`, `x` zero outside.
pub(crate) struct DepthwisePlane<'a> {
    /// `[h, w]`.
    pub x: &'a [f32],
    /// `[k, k]`.
    pub weight: &'a [f32],
    pub bias: f32,
    /// Slope of a PReLU, and the largest result of it.
    pub finish: Option<(f32, f32)>,
    /// `[y_h, y_w]`.
    pub y: &'a mut [f32],
    /// Rows and columns of `x`.
    pub size: [usize; 2],
    /// Rows and columns of `y`.
    pub grid: [usize; 2],
    pub k: usize,
    pub stride: usize,
    pub padding: usize,
}

impl Task for DepthwisePlane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let mut memory = Scratch::take();
        let [rows] = memory.parts([self.rows() * self.row::<V>()]);
        self.spread::<V>(rows);
        match self.k {
            3 => self.windows::<V, 3>(rows, 3),
            k => self.windows::<V, 0>(rows, k),
        }
    }
}

impl DepthwisePlane<'_> {
    /// Rows that some window reads.
    #[inline(always)]
    fn rows(&self) -> usize {
        (self.grid[0] - 1) * self.stride + self.k
    }

    /// Columns of one remainder by the stride, with room for a vector behind them.
    #[inline(always)]
    fn columns<V: Vector>(&self) -> usize {
        self.grid[1] + (self.k - 1) / self.stride + V::LANES
    }

    /// Elements of a spread row.
    #[inline(always)]
    fn row<V: Vector>(&self) -> usize {
        self.stride * self.columns::<V>()
    }

    /// Writes the padded rows of `x`, columns of equal remainder by the stride together, so that what a tap
    /// reads for neighbours in `y` are neighbours too.
    #[inline(always)]
    fn spread<V: Vector>(&self, rows: &mut [f32]) {
        let (columns, row, [h, w]) = (self.columns::<V>(), self.row::<V>(), self.size);
        for (r, to) in rows.chunks_exact_mut(row).enumerate().take(self.rows()) {
            to.fill(0.0);
            let Some(r) = r.checked_sub(self.padding).filter(|r| *r < h) else { continue };
            let from = &self.x[r * w..][..w];
            if self.stride == 1 {
                let n = w.min(columns - self.padding);
                to[self.padding..self.padding + n].copy_from_slice(&from[..n]);
                continue;
            }
            for (column, value) in (self.padding..).zip(from) {
                let at = column / self.stride;
                if at < columns {
                    to[column % self.stride * columns + at] = *value;
                }
            }
        }
    }

    /// Sums the windows; `K` is their side if it is known when compiled, or else 0.
    #[inline(always)]
    fn windows<V: Vector, const K: usize>(&mut self, rows: &[f32], k: usize) {
        let k = if K > 0 { K } else { k };
        let (columns, row, [down, across]) = (self.columns::<V>(), self.row::<V>(), self.grid);
        assert!(rows.len() >= self.rows() * row && self.weight.len() == k * k && self.y.len() == down * across, "whole planes");
        for i in 0..down {
            for j in (0..across).step_by(V::LANES) {
                let mut sum = V::splat(self.bias);
                for u in 0..k {
                    for v in 0..k {
                        let at = (i * self.stride + u) * row + v % self.stride * columns + v / self.stride + j;
                        // SAFETY: a row has `columns` elements of each remainder, which are `LANES` more than
                        // the last of `across` columns reads.
                        let x = unsafe { V::load(rows.as_ptr().add(at)) };
                        sum = x.mul_add(V::splat(self.weight[u * k + v]), sum);
                    }
                }
                if let Some((slope, most)) = self.finish {
                    sum = activated(sum, V::splat(slope), V::splat(most));
                }
                let (to, n) = (self.y[i * across + j..].as_mut_ptr(), (across - j).min(V::LANES));
                // SAFETY: `n` elements of this row are left.
                unsafe { if n == V::LANES { sum.store(to) } else { sum.store_first(to, n) } }
            }
        }
    }
}
