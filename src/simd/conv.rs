//! Rows of a convolution with few output channels: lanes are adjacent pixels, weights are broadcast.

use super::tile::{GROUP, Window, across};
use super::{PlanesMut, Task, Vector};

/// Computes adjacent output rows of one level and item for at most one group of output channels, with bias
/// and PReLU.
pub(crate) struct ConvRows<'a> {
    /// Input elements, starting at the first row: `c` planes that are `plane` apart.
    pub x: &'a [f32],
    /// Number of input channels.
    pub c: usize,
    /// Distance between input planes.
    pub plane: usize,
    /// Number of columns of the input level.
    pub width: usize,
    /// Number of rows of the convolution.
    pub rows: usize,
    /// Kernel side.
    pub k: usize,
    /// Weights of the group, `[c, k, k, 16]`.
    pub weight: &'a [f32],
    /// Bias of the 16 channels.
    pub bias: &'a [f32],
    /// PReLU slope of the 16 channels.
    pub slope: &'a [f32],
    /// Whether each result is the maximum of 2 x 2 elements, in ceil mode.
    pub pool: bool,
    /// One window of whole rows per channel.
    pub y: PlanesMut<'a>,
}

/// Smallest number of results in a row for which this code can be used.
pub(crate) const NARROWEST: usize = 17;

impl Task for ConvRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let width = self.width + 1 - self.k;
        let y_w = if self.pool { width.div_ceil(2) } else { width };
        let rows = if self.pool { self.rows.div_ceil(2) } else { self.rows };
        assert!(self.y.len() == rows * y_w && self.y.planes() <= GROUP && rows > 0 && y_w >= NARROWEST, "whole, wide rows of a group");
        let last = (self.c - 1) * self.plane + (self.rows + self.k - 1) * self.width;
        assert!(self.x.len() >= last && self.weight.len() >= self.c * self.k * self.k * GROUP, "input and weights are whole");
        assert!(self.bias.len() >= GROUP && self.slope.len() >= GROUP, "bias and slope of the group");
        if self.pool {
            self.pooled::<V>(rows, y_w);
        } else {
            self.plain::<V>(rows, y_w);
        }
    }
}

impl ConvRows<'_> {
    fn window(&self) -> Window {
        Window { c: self.c, plane: self.plane, rows: self.k, width: self.width, columns: self.k }
    }

    /// Computes the rows without pooling. The last vectors of a row are moved left until they fit.
    #[inline(always)]
    fn plain<V: Vector>(&mut self, rows: usize, y_w: usize) {
        let most = if V::REGISTERS >= 32 { 12 } else { 6 };
        let size = self.y.planes().div_ceil(self.y.planes().div_ceil(most));
        for row in 0..rows {
            let mut column = 0;
            while column < y_w {
                let pair = column + V::LANES < y_w && 2 * V::LANES <= y_w;
                let vectors = if pair { 2 * V::LANES } else { V::LANES };
                let at = column.min(y_w - vectors);
                for first in (0..self.y.planes()).step_by(size) {
                    self.piece::<V>([row, at, y_w], first, size.min(self.y.planes() - first), pair);
                }
                column = at + vectors;
            }
        }
    }

    #[inline(always)]
    fn piece<V: Vector>(&mut self, [row, column, y_w]: [usize; 3], first: usize, channels: usize, pair: bool) {
        macro_rules! call {
            ($c:literal, $w:literal) => {
                // SAFETY: `run` checked that x covers the window of every pixel of these rows and that
                // weights, bias and slope have 16 lanes, `plain` that the vectors end inside the row;
                // `first + channels` planes exist.
                unsafe {
                    let x = self.x.as_ptr().add(row * self.width + column);
                    let ends = [self.bias.as_ptr().add(first), self.slope.as_ptr().add(first)];
                    let sums = across::<V, $c, $w, 1>(self.window(), x, 0, self.weight.as_ptr().add(first), ends);
                    let y = self.y.as_mut_ptr().add(first * self.y.stride() + row * y_w + column);
                    for (o, [sums]) in sums.iter().enumerate() {
                        for (w, sum) in sums.iter().enumerate() {
                            sum.store(y.add(o * self.y.stride() + w * V::LANES));
                        }
                    }
                }
            };
        }
        macro_rules! each {
            ($($c:literal)*) => {
                match (channels, pair) {
                    $(($c, true) => call!($c, 2), ($c, false) => call!($c, 1),)*
                    _ => unreachable!("at most 12 channels"),
                }
            };
        }
        each!(1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// Combines two rows of the convolution at a time into one; a last row without a partner is paired with
    /// itself.
    #[inline(always)]
    fn pooled<V: Vector>(&mut self, rows: usize, y_w: usize) {
        let most = if V::REGISTERS >= 32 { 5 } else { 2 };
        let whole = (self.width + 1 - self.k) / 2;
        for row in 0..rows {
            let down = if 2 * row + 1 < self.rows { self.width } else { 0 };
            let mut column = 0;
            while column < whole {
                let at = column.min(whole - V::LANES);
                let mut first = 0;
                while first < self.y.planes() {
                    let channels = most.min(self.y.planes() - first);
                    self.pooled_piece::<V>([row, at, y_w], down, first, channels);
                    first += channels;
                }
                column = at + V::LANES;
            }
            if whole < y_w {
                self.last_column(row, down, y_w);
            }
        }
    }

    #[inline(always)]
    fn pooled_piece<V: Vector>(&mut self, [row, column, y_w]: [usize; 3], down: usize, first: usize, channels: usize) {
        macro_rules! call {
            ($c:literal) => {
                // SAFETY: as in `piece`, for two rows and twice the columns, which `pooled` keeps within the
                // row.
                unsafe {
                    let x = self.x.as_ptr().add(2 * row * self.width + 2 * column);
                    let ends = [self.bias.as_ptr().add(first), self.slope.as_ptr().add(first)];
                    let sums = across::<V, $c, 2, 2>(self.window(), x, down, self.weight.as_ptr().add(first), ends);
                    let y = self.y.as_mut_ptr().add(first * self.y.stride() + row * y_w + column);
                    for (o, [upper, lower]) in sums.iter().enumerate() {
                        let [even, odd] = upper[0].larger(lower[0]).deinterleave(upper[1].larger(lower[1]));
                        even.larger(odd).store(y.add(o * self.y.stride()));
                    }
                }
            };
        }
        match channels {
            1 => call!(1),
            2 => call!(2),
            3 => call!(3),
            4 => call!(4),
            _ => call!(5),
        }
    }

    /// Computes the last result of a row, whose window has only one column.
    #[inline(always)]
    fn last_column(&mut self, row: usize, down: usize, y_w: usize) {
        for o in 0..self.y.planes() {
            let mut best = f32::NEG_INFINITY;
            for start in [2 * row * self.width, 2 * row * self.width + down] {
                let mut sum = self.bias[o];
                let mut weights = self.weight.chunks_exact(GROUP);
                for line in (0..self.c).flat_map(|c| (0..self.k).map(move |u| (c, u))) {
                    let end = line.0 * self.plane + start + (line.1 + 1) * self.width;
                    for (x, weight) in self.x[end - self.k..end].iter().zip(&mut weights) {
                        sum += weight[o] * x;
                    }
                }
                let value = if sum > 0.0 { sum } else { self.slope[o] * sum };
                best = if value > best { value } else { best };
            }
            self.y.row_mut(o)[(row + 1) * y_w - 1] = best;
        }
    }
}
