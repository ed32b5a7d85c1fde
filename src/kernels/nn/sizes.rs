//! Sizes of convolutions, and how the kernels over them are divided.

use crate::record::Work;
use crate::simd::{Image, Tap};
use crate::tensor::{Shape, ShapeError};

/// Sizes of a convolution of any kernel side, stride, padding and number of groups, checked once for its
/// three passes.
///
/// `x` is `[n, c, h, w]`, `weight` `[out, c / groups, k, k]`, `y` `[n, out, y_h, y_w]`, all row-major as in
/// PyTorch. A dense layer is a convolution of planes of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub(super) n: u32,
    pub(super) c: u32,
    pub(super) h: u32,
    pub(super) w: u32,
    pub(super) out: u32,
    pub(super) k: u32,
    pub(super) stride: u32,
    pub(super) padding: u32,
    pub(super) groups: u32,
    pub(super) y_h: u32,
    pub(super) y_w: u32,
}

/// Where a kernel keeps what its invocations share: what is fastest depends on the device, results are those
/// of the same sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tiling {
    /// Tiles of 64 x 64 results, staged in workgroup memory: for GPUs.
    Workgroup,
    /// 16 x 4 results of each invocation in registers alone: for software adapters.
    Registers,
}

/// Invocations of a workgroup.
pub(super) const WIDTH: u32 = 64;

impl Tiling {
    /// Value of the kernels' field `tiled`.
    pub(super) fn tiled(self) -> u32 {
        u32::from(self == Self::Workgroup)
    }
}

/// Rows and columns of results that a workgroup computes.
pub(super) fn tile(tiled: u32) -> [u32; 2] {
    if tiled > 0 { [64, 64] } else { [16, 4 * WIDTH] }
}

/// Workgroups for `rows x columns` results of each group.
pub(super) fn work(tiled: u32, groups: u32, rows: u32, columns: u32) -> Work {
    let [across, down] = [rows.div_ceil(tile(tiled)[0]), columns.div_ceil(tile(tiled)[1])];
    Work::folded(groups * across * down * WIDTH)
}

impl Sizes {
    /// A `k x k` convolution of `x`, of one level, to `out` channels, with `padding` zeros on every side.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if `x` has several levels, the window does not fit in it, the groups do not divide its
    /// channels and `out`, or there are too many elements.
    pub fn new(x: &Shape, out: u32, k: u32, stride: u32, padding: u32, groups: u32) -> Result<Self, ShapeError> {
        let (c, level) = (x.c(), x.levels()[0]);
        let places = |size: u32| {
            (u64::from(size) + 2 * u64::from(padding)).checked_sub(u64::from(k)).map(|left| left / u64::from(stride.max(1)) + 1)
        };
        let fits = x.levels().len() == 1 && k > 0 && stride > 0 && padding < k && out > 0 && groups > 0;
        let shared = fits && c.is_multiple_of(groups) && out.is_multiple_of(groups);
        let (Some(y_h), Some(y_w), true) = (places(level.h), places(level.w), shared) else {
            return Err(ShapeError::Window { c, h: level.h, w: level.w, out, k, stride, padding, groups });
        };
        // Neither is more than `h + 2 k`, which an index reaches.
        let [y_h, y_w] = [y_h, y_w].map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        let sizes = Self { n: x.n(), c, h: level.h, w: level.w, out, k, stride, padding, groups, y_h, y_w };
        Shape::new([sizes.n, out, y_h, y_w])?;
        Shape::new([out, c / groups, k, k])?;
        Ok(sizes)
    }

    /// A dense layer from `inputs` to `outputs` values of `n` items.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if one of them is zero or there are too many elements.
    pub fn dense(n: u32, inputs: u32, outputs: u32) -> Result<Self, ShapeError> {
        Self::new(&Shape::new([n, inputs, 1, 1])?, outputs, 1, 1, 0, 1)
    }

    /// Shape of the result.
    pub fn y(&self) -> Shape {
        Shape::new([self.n, self.out, self.y_h, self.y_w]).unwrap_or_else(|error| unreachable!("checked when made: {error}"))
    }

    /// Elements of `x`.
    pub fn x_len(&self) -> usize {
        self.n as usize * self.x_item()
    }

    /// Elements of the weights.
    pub fn weight_len(&self) -> usize {
        self.out as usize * self.columns()
    }

    /// Elements of `y`.
    pub fn y_len(&self) -> usize {
        self.n as usize * self.y_item()
    }

    /// Whether this is a dense layer.
    pub(super) fn is_dense(&self) -> bool {
        [self.h, self.w, self.k, self.groups] == [1; 4]
    }

    /// Input channels of a group.
    pub(super) fn channels(&self) -> usize {
        (self.c / self.groups) as usize
    }

    /// Output channels of a group.
    pub(super) fn outputs(&self) -> usize {
        (self.out / self.groups) as usize
    }

    /// Elements of a channel of `x`.
    pub(super) fn x_plane(&self) -> usize {
        self.h as usize * self.w as usize
    }

    /// Elements of a channel of `y`.
    pub(super) fn y_plane(&self) -> usize {
        self.y_h as usize * self.y_w as usize
    }

    /// Elements of an item of `x`.
    pub(super) fn x_item(&self) -> usize {
        self.c as usize * self.x_plane()
    }

    /// Elements of an item of `y`.
    pub(super) fn y_item(&self) -> usize {
        self.out as usize * self.y_plane()
    }

    /// Weights of an output channel.
    pub(super) fn columns(&self) -> usize {
        self.channels() * (self.k * self.k) as usize
    }

    /// The taps of the kernel, as seen from a place of `y` in `x`.
    pub(super) fn taps(&self) -> Vec<Tap> {
        let from = |tap: u32| tap as isize - self.padding as isize;
        let all = (0..self.k).flat_map(|u| (0..self.k).map(move |v| (u, v)));
        all.map(|(u, v)| Tap { weight: (u * self.k + v) as usize, at: [from(u), from(v)] }).collect()
    }

    /// The channels of a group of `x`, seen from the places of `y`.
    pub(super) fn image<'a>(&self, x: &'a [f32], group: usize) -> Image<'a> {
        Image {
            data: &x[group * self.channels() * self.x_plane()..],
            items: self.n as usize,
            item: self.x_item(),
            channels: self.channels(),
            plane: self.x_plane(),
            size: [self.h as usize, self.w as usize],
            grid: [self.y_h as usize, self.y_w as usize],
            step: self.stride as usize,
        }
    }

    /// Multiplications of each pass.
    pub(super) fn multiply_adds(&self) -> u64 {
        self.y_len() as u64 * self.columns() as u64
    }

    /// Element of `x` under tap `(u, v)` of the window at `(i, j)`, in channel `c` of item `n`; `None` in the
    /// padding.
    pub(super) fn x_at(&self, [n, c]: [usize; 2], [i, j]: [usize; 2], [u, v]: [usize; 2]) -> Option<usize> {
        let (stride, padding) = (self.stride as usize, self.padding as usize);
        let (row, column) = ((i * stride + u).checked_sub(padding)?, (j * stride + v).checked_sub(padding)?);
        let (h, w) = (self.h as usize, self.w as usize);
        (row < h && column < w).then_some(((n * self.c as usize + c) * h + row) * w + column)
    }
}

/// The fields of a kernel's uniform that are sizes, as [`Sizes`].
macro_rules! sizes {
    ($kernel:expr) => {{
        let &Self { n, c, h, w, out, k, stride, padding, groups, y_h, y_w, .. } = $kernel;
        crate::kernels::nn::sizes::Sizes { n, c, h, w, out, k, stride, padding, groups, y_h, y_w }
    }};
}
pub(super) use sizes;

/// Convolutions that are worth comparing: one element, odd sizes, across tiles, strides, paddings, large
/// windows, groups, channel by channel, dense layers.
///
/// As [`Sizes::new`] has them: `[n, c, h, w]` and `[out, k, stride, padding, groups]`.
const CONVOLUTIONS: [([u32; 4], [u32; 5]); 22] = [
    ([1, 1, 1, 1], [1, 1, 1, 0, 1]),
    ([1, 3, 5, 7], [10, 3, 1, 1, 1]),
    ([2, 17, 9, 8], [66, 3, 1, 1, 1]),
    ([3, 16, 14, 14], [65, 3, 1, 1, 1]),
    ([1, 64, 14, 14], [64, 3, 1, 1, 1]),
    ([2, 5, 14, 15], [9, 3, 2, 1, 1]),
    ([3, 9, 13, 13], [20, 4, 2, 1, 1]),
    ([2, 4, 7, 7], [3, 4, 1, 1, 1]),
    ([2, 2, 7, 7], [1, 7, 1, 3, 1]),
    ([1, 2, 20, 17], [5, 7, 3, 3, 1]),
    ([2, 70, 7, 7], [130, 1, 1, 0, 1]),
    ([2, 40, 9, 7], [24, 1, 2, 0, 1]),
    ([2, 6, 8, 8], [10, 3, 1, 1, 2]),
    ([1, 12, 9, 9], [36, 3, 2, 1, 4]),
    ([2, 10, 11, 6], [10, 3, 1, 1, 10]),
    ([2, 7, 8, 8], [14, 3, 2, 1, 7]),
    ([2, 5, 19, 23], [5, 3, 2, 1, 5]),
    ([3, 33, 7, 7], [33, 7, 1, 0, 33]),
    ([5, 3, 2, 2], [4, 2, 1, 0, 1]),
    ([3, 65, 1, 1], [70, 1, 1, 0, 1]),
    ([33, 200, 1, 1], [17, 1, 1, 0, 1]),
    ([2, 2600, 1, 1], [9, 1, 1, 0, 1]),
];

/// Of [`CONVOLUTIONS`], with both tilings.
pub(super) fn samples() -> Vec<(Sizes, Tiling)> {
    let each = |(x, [out, k, stride, padding, groups]): ([u32; 4], [u32; 5])| {
        Sizes::new(&Shape::new(x).expect("a valid sample"), out, k, stride, padding, groups).expect("a valid sample")
    };
    CONVOLUTIONS.into_iter().flat_map(|case| [Tiling::Workgroup, Tiling::Registers].map(|tiling| (each(case), tiling))).collect()
}

/// Compares the native body of a kernel with one written slot with its twin at every sample, for every
/// instruction set; and its bits on one thread with those on three.
#[cfg(test)]
pub(super) fn check_native<K: crate::kernels::Samples>() {
    let pools = [1, 3].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    crate::simd::Simd::try_each(|simd| {
        for crate::kernels::Sample { kernel, read } in K::samples() {
            let read: Vec<&[f32]> = read.iter().map(Vec::as_slice).collect();
            let (len, binding) = (*kernel.sizes().last().unwrap(), K::BINDINGS.last().unwrap());
            let before = if binding.access == crate::record::Access::Write { vec![f32::NAN; len] } else { crate::tensor::noise(len, 9) };
            let [mut got, mut again, mut want] = [(); 3].map(|()| before.clone());
            pools[0].install(|| kernel.native(1, &read, &mut [&mut got]));
            pools[1].install(|| kernel.native(1, &read, &mut [&mut again]));
            kernel.reference(1, &read, &mut [&mut want]);
            let tolerance = kernel.tolerance(&read);
            let first = got.iter().zip(&want).position(|(got, want)| !matches!((got - want).abs(), off if off <= tolerance));
            assert_eq!(first, None, "{simd}: {kernel:?}");
            assert!(got.iter().zip(&again).all(|(a, b)| a.to_bits() == b.to_bits()), "{simd}: threads change {kernel:?}");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_result_has_the_sizes_that_pytorch_gives() {
        let of = |x: [u32; 4], k, stride, padding| {
            let sizes = Sizes::new(&Shape::new(x).unwrap(), 4, k, stride, padding, 1).unwrap();
            [sizes.y_h, sizes.y_w]
        };
        assert_eq!(of([1, 3, 112, 112], 3, 2, 1), [56, 56]);
        assert_eq!(of([1, 3, 7, 7], 4, 1, 1), [6, 6]);
        assert_eq!(of([1, 3, 7, 7], 7, 1, 3), [7, 7]);
        assert_eq!(of([1, 3, 15, 14], 1, 2, 0), [8, 7]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let x = Shape::new([2, 6, 5, 5]).unwrap();
        for [out, k, stride, padding, groups] in [
            [4, 6, 1, 0, 1],
            [4, 0, 1, 0, 1],
            [4, 3, 0, 1, 1],
            [4, 3, 1, 3, 1],
            [4, 3, 1, 1, 4],
            [4, 3, 1, 1, 3],
            [0, 3, 1, 1, 1],
            [4, 3, 1, 1, 0],
        ] {
            let error = Sizes::new(&x, out, k, stride, padding, groups).expect_err("no such convolution");
            assert!(error.to_string().contains("does not fit"), "{error}");
        }
        assert!(Sizes::dense(1 << 16, 1 << 15, 1 << 16).is_err(), "more elements than an index reaches");
    }
}
