//! Rows of a valid convolution.

use super::tile::{GROUP, Lanes, Window, across, channels};
use super::{PlanesMut, Task, Vector};

/// Neighbouring output rows of one level, item and group of up to 16 output channels.
pub(crate) struct ConvRows<'a> {
    /// From the first input element of the first row on, `c` planes `plane` apart.
    pub x: &'a [f32],
    /// Input channels.
    pub c: usize,
    /// From one input plane to the next.
    pub plane: usize,
    /// Columns of the input level.
    pub width: usize,
    /// Kernel side.
    pub k: usize,
    /// Weights of the group, `[c, k, k, 16]`.
    pub weight: &'a [f32],
    /// 16 of them.
    pub bias: &'a [f32],
    /// 16 of them.
    pub slope: &'a [f32],
    /// One window a channel, whole rows of `width - k + 1` elements.
    pub y: PlanesMut<'a>,
}

impl Task for ConvRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let y_w = self.width + 1 - self.k;
        let rows = self.y.len() / y_w;
        assert!(self.y.len() == rows * y_w && self.y.planes() <= GROUP && rows > 0, "whole rows of a group");
        let last = (self.c - 1) * self.plane + (rows + self.k - 1) * self.width;
        assert!(self.x.len() >= last && self.weight.len() >= self.c * self.k * self.k * GROUP, "input and weights are whole");
        assert!(self.bias.len() >= GROUP && self.slope.len() >= GROUP, "bias and slope of the group");
        if y_w >= V::LANES {
            self.wide::<V>(rows, y_w);
        } else {
            match V::LANES {
                16 if rows * y_w <= 9 => self.narrow::<V, 1, 9>(rows, y_w),
                16 => self.narrow::<V, 1, 12>(rows, y_w),
                8 => self.narrow::<V, 2, 5>(rows, y_w),
                _ => self.narrow::<V, 4, 3>(rows, y_w),
            }
        }
    }
}

impl ConvRows<'_> {
    fn window(&self) -> Window {
        Window { c: self.c, plane: self.plane, rows: self.k, width: self.width, columns: self.k }
    }

    /// Lanes are neighbouring pixels. The last vector of a row is moved left until it fits.
    #[inline(always)]
    fn wide<V: Vector>(&mut self, rows: usize, y_w: usize) {
        let most = if V::REGISTERS >= 32 { 8 } else { 6 };
        let pieces = self.y.planes().div_ceil(most);
        let size = self.y.planes().div_ceil(pieces);
        for row in 0..rows {
            let mut column = 0;
            while column < y_w {
                let pair = column + 2 * V::LANES <= y_w;
                let at = column.min(y_w - V::LANES);
                for first in (0..self.y.planes()).step_by(size) {
                    let channels = size.min(self.y.planes() - first);
                    self.piece::<V>([row, at, y_w], first, channels, pair);
                }
                column = at + if pair { 2 * V::LANES } else { V::LANES };
            }
        }
    }

    #[inline(always)]
    fn piece<V: Vector>(&mut self, [row, column, y_w]: [usize; 3], first: usize, channels: usize, pair: bool) {
        macro_rules! tile {
            ($c:literal, $w:literal) => {
                // SAFETY: `run` checked that x covers the window of every pixel of these rows, that weights, bias and slope have 16
                // lanes, and `wide` that the vectors end inside the row; `first + channels` planes exist.
                unsafe {
                    let x = self.x.as_ptr().add(row * self.width + column);
                    let parameters = [self.bias.as_ptr().add(first), self.slope.as_ptr().add(first)];
                    let stride = self.y.stride();
                    let y = self.y.as_mut_ptr().add(first * stride + row * y_w + column);
                    across::<V, $c, $w>(self.window(), x, self.weight.as_ptr().add(first), parameters, y, stride);
                }
            };
        }
        match (channels, pair) {
            (1, false) => tile!(1, 1),
            (2, false) => tile!(2, 1),
            (3, false) => tile!(3, 1),
            (4, false) => tile!(4, 1),
            (5, false) => tile!(5, 1),
            (6, false) => tile!(6, 1),
            (7, false) => tile!(7, 1),
            (_, false) => tile!(8, 1),
            (1, true) => tile!(1, 2),
            (2, true) => tile!(2, 2),
            (3, true) => tile!(3, 2),
            (4, true) => tile!(4, 2),
            (5, true) => tile!(5, 2),
            (6, true) => tile!(6, 2),
            (7, true) => tile!(7, 2),
            (_, true) => tile!(8, 2),
        }
    }

    /// Lanes are output channels, `P` pixels at a time wherever they lie; the last ones repeat the last pixel.
    #[inline(always)]
    fn narrow<V: Vector, const N: usize, const P: usize>(&mut self, rows: usize, y_w: usize) {
        assert!(N * V::LANES == GROUP, "a tile holds a group");
        let pixels = rows * y_w;
        let mut sums = [0.0_f32; 12 * GROUP];
        for start in (0..pixels).step_by(P) {
            let places: [usize; P] = std::array::from_fn(|p| {
                let pixel = (start + p).min(pixels - 1);
                pixel / y_w * self.width + pixel % y_w
            });
            let weight = Lanes { first: self.weight.as_ptr(), offsets: std::array::from_fn(|n| n * V::LANES), stride: GROUP };
            // SAFETY: `run` checked x, weights, bias and slope; P is at most 12, so `sums` holds the tile.
            unsafe {
                let parameters = [self.bias.as_ptr(), self.slope.as_ptr()];
                channels::<V, N, P, false>(self.window(), self.x.as_ptr(), &places, weight, parameters, sums.as_mut_ptr());
            }
            let (stride, planes) = (self.y.stride(), self.y.planes());
            for (pixel, sums) in (start..pixels).zip(sums.chunks_exact(GROUP).take(P)) {
                for (plane, sum) in sums.iter().enumerate().take(planes) {
                    // SAFETY: the pixel is inside the window, the plane is one of its planes.
                    unsafe { *self.y.as_mut_ptr().add(plane * stride + pixel) = *sum };
                }
            }
        }
    }
}
