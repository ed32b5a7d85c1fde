//! Windows that pools go by: adaptive bins, or squares some steps apart.

use std::ops::Range;

use crate::tensor::{Extent, Shape, ShapeError};

crate::uniform! {
    /// Where the windows of a pool lie (`shared/windows.wgsl`). Of rows and columns alike, window `i` covers
    /// the elements from `⌊(i step - pad) / parts⌋` up to, not including, `⌈(i step - pad + span) / parts⌉`,
    /// as far as there are any.
    pub struct Windows { x: [u32; 2], y: [u32; 2], step: [u32; 2], span: [u32; 2], n: u32, c: u32, pad: u32, parts: u32 }
}

impl Windows {
    /// `bins x bins` windows over each plane of `x`, which has one level: bin `i` covers
    /// `[⌊i h / bins⌋, ⌈(i + 1) h / bins⌉)`, so that bins may overlap; one bin is the whole plane. With the
    /// shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if there are no bins, or if one has more elements than an invocation may go through.
    pub fn adaptive(x: &Shape, bins: u32) -> Result<(Self, Shape), ShapeError> {
        let Extent { h, w } = x.levels()[0];
        Self { x: [h, w], y: [bins; 2], step: [h, w], span: [h, w], n: x.n(), c: x.c(), pad: 0, parts: bins }.checked()
    }

    /// Windows of `k x k` elements, `stride` apart, over planes with `padding` elements around them that
    /// count for nothing; a window that would reach beyond the padding is left out. `x` has one level. With
    /// the shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if there are no windows, if one has more elements than an invocation may go through, or
    /// if one would be padding alone.
    pub fn sliding(x: &Shape, k: u32, stride: u32, padding: u32) -> Result<(Self, Shape), ShapeError> {
        if padding > k / 2 {
            return Err(ShapeError::Padding { k, padding });
        }
        let Extent { h, w } = x.levels()[0];
        let count = |size: u32| {
            size.saturating_add(2 * padding).checked_sub(k).and_then(|left| left.checked_div(stride)).map_or(0, |more| more + 1)
        };
        let y = if k == 0 { [0; 2] } else { [count(h), count(w)] };
        Self { x: [h, w], y, step: [stride; 2], span: [k; 2], n: x.n(), c: x.c(), pad: padding, parts: 1 }.checked()
    }

    /// Every `stride`-th element of rows and columns, which is what a pool of 1 x 1 windows makes.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `stride` is 0.
    pub fn strided(x: &Shape, stride: u32) -> Result<(Self, Shape), ShapeError> {
        Self::sliding(x, 1, stride, 0)
    }

    fn checked(self) -> Result<(Self, Shape), ShapeError> {
        let y = Shape::new([self.n, self.c, self.y[0], self.y[1]])?;
        let longest = |d: usize| self.span[d].div_ceil(self.parts) + u32::from(self.parts > 1);
        // Backward goes through the windows that an element is in.
        let shared = |d: usize| (self.span[d] / self.step[d] + 2).min(self.y[d]);
        ShapeError::check_terms(longest(0).saturating_mul(longest(1)).max(shared(0).saturating_mul(shared(1))))?;
        Ok((self, y))
    }

    /// Items and channels together.
    pub(super) fn planes(&self) -> usize {
        (self.n * self.c) as usize
    }

    /// Elements of a plane of the input.
    pub(super) fn x_plane(&self) -> usize {
        (self.x[0] * self.x[1]) as usize
    }

    /// Elements of a plane of the output.
    pub(super) fn y_plane(&self) -> usize {
        (self.y[0] * self.y[1]) as usize
    }

    /// Elements of the input and the output.
    pub(super) fn elements(&self) -> [usize; 2] {
        [self.planes() * self.x_plane(), self.planes() * self.y_plane()]
    }

    /// Columns of the input and the output.
    pub(super) fn widths(&self) -> [usize; 2] {
        [self.x[1] as usize, self.y[1] as usize]
    }

    /// What window `i` of rows (`d` 0) or columns (1) covers.
    pub(super) fn covers(&self, d: usize, i: usize) -> Range<usize> {
        let [size, step, span] = [self.x, self.step, self.span].map(|pair| pair[d] as usize);
        let (pad, parts) = (self.pad as usize, self.parts as usize);
        (i * step).saturating_sub(pad) / parts..(i * step + span - pad).div_ceil(parts).min(size)
    }

    /// Calls `visit` with every window of a plane, and the rows and columns that it covers.
    pub(super) fn visit(&self, mut visit: impl FnMut(usize, Range<usize>, Range<usize>)) {
        for i in 0..self.y[0] as usize {
            for j in 0..self.y[1] as usize {
                visit(i * self.y[1] as usize + j, self.covers(0, i), self.covers(1, j));
            }
        }
    }

    /// Most windows that an element is in, and most elements of a window.
    pub(super) fn terms(&self) -> [usize; 2] {
        let longest = |d: usize| (0..self.y[d] as usize).map(|i| self.covers(d, i).len()).max().unwrap_or(0);
        let shared = |d: usize| (self.span[d] / self.step[d] + 2).min(self.y[d]) as usize;
        [shared(0) * shared(1), longest(0) * longest(1)]
    }

    /// Windows for samples: one element, bins that overlap and do not, the whole plane, windows with and
    /// without padding, strides beyond windows.
    pub(super) fn samples() -> Vec<Self> {
        let adaptive =
            [([1, 1, 1, 1], 1), ([2, 5, 7, 7], 2), ([2, 5, 7, 7], 3), ([3, 2, 5, 9], 7), ([2, 3, 67, 65], 1), ([70, 33, 7, 7], 1)];
        let sliding = [
            ([1, 1, 1, 1], 1, 1, 0),
            ([2, 3, 12, 11], 1, 2, 0),
            ([2, 3, 13, 9], 3, 2, 1),
            ([1, 2, 8, 8], 2, 2, 0),
            ([1, 70, 9, 70], 5, 1, 2),
            ([2, 1, 9, 9], 2, 3, 1),
        ];
        let shape = |nchw| Shape::new(nchw).expect("a valid sample");
        let adaptive = adaptive.map(|(nchw, bins)| Self::adaptive(&shape(nchw), bins));
        let sliding = sliding.map(|(nchw, k, stride, padding)| Self::sliding(&shape(nchw), k, stride, padding));
        adaptive.into_iter().chain(sliding).map(|windows| windows.expect("a valid sample").0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bins(windows: &Windows) -> Vec<Range<usize>> {
        (0..windows.y[1] as usize).map(|i| windows.covers(1, i)).collect()
    }

    #[test]
    fn bins_of_seven_elements_overlap() {
        let x = Shape::new([2, 3, 7, 7]).unwrap();
        assert_eq!(Windows::adaptive(&x, 1).unwrap().0.covers(0, 0), 0..7);
        assert_eq!(bins(&Windows::adaptive(&x, 2).unwrap().0), [0..4, 3..7]);
        assert_eq!(bins(&Windows::adaptive(&x, 3).unwrap().0), [0..3, 2..5, 4..7]);
        assert_eq!(Windows::adaptive(&x, 3).unwrap().1, Shape::new([2, 3, 3, 3]).unwrap());
    }

    #[test]
    fn windows_slide_and_padding_counts_for_nothing() {
        let x = Shape::new([1, 1, 6, 5]).unwrap();
        let (windows, y) = Windows::sliding(&x, 3, 2, 1).unwrap();
        assert_eq!((bins(&windows), y.levels()[0]), (vec![0..2, 1..4, 3..5], Extent { h: 3, w: 3 }));
        let (windows, y) = Windows::strided(&x, 2).unwrap();
        assert_eq!((bins(&windows), y.levels()[0]), (vec![0..1, 2..3, 4..5], Extent { h: 3, w: 3 }));
    }

    #[test]
    fn windows_that_cannot_be_are_refused() {
        let x = Shape::new([1, 1, 6, 5]).unwrap();
        assert!(matches!(Windows::sliding(&x, 3, 1, 2), Err(ShapeError::Padding { k: 3, padding: 2 })));
        for empty in [Windows::sliding(&x, 7, 1, 0), Windows::sliding(&x, 0, 1, 0), Windows::strided(&x, 0), Windows::adaptive(&x, 0)] {
            assert!(matches!(empty, Err(ShapeError::Empty { .. })), "{empty:?}");
        }
        let large = Shape::new([1, 1, 300, 300]).unwrap();
        assert!(matches!(Windows::adaptive(&large, 1), Err(ShapeError::TooManyTerms { terms: 90_000 })));
    }
}
