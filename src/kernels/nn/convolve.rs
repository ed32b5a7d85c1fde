//! The native body of convolutions, pooled or not: chooses the micro-kernel for each part of the result.

use rayon::prelude::*;

use super::Level;
use crate::simd::{ConvMap, ConvRows, FilterSizes, MapLayer, NARROWEST, PlanesMut, Simd, Transform, Transformed};

/// Output channels per group of packed weights.
const GROUP: usize = 16;
/// Approximate number of results per channel in one task, when threads share an item.
const TASK: u32 = 1024;
/// Rows of results of a task come in multiples of this number, so that few tiles are cut.
pub(super) const ROWS: u32 = 4;

/// A convolution with bias and PReLU, optionally followed by max pooling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolve<'a> {
    pub n: u32,
    pub c: u32,
    pub out: u32,
    pub k: u32,
    pub x_plane: u32,
    pub y_plane: u32,
    /// Side of the pooling windows, at most 3, and their stride; `[1, 1]` without pooling.
    pub pool: [u32; 2],
    pub levels: &'a [Level],
    pub x: &'a [f32],
    /// Packed weights, `[groups, c, k, k, 16]`.
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub slope: &'a [f32],
    /// The weights after [`Convolve::transform`], if it was called before.
    pub transformed: Option<Transformed<'a>>,
}

/// A part of the result.
enum ConvPart<'a> {
    Map(ConvMap<'a>),
    Rows(ConvRows<'a>),
}

impl ConvPart<'_> {
    fn play(self) {
        match self {
            Self::Map(map) => Simd::chosen().run(map),
            Self::Rows(rows) => Simd::chosen().run(rows),
        }
    }
}

impl Convolve<'_> {
    /// Computes the first `items` items into `y: [n, out, y_plane]`. Threads share a single item; several
    /// items are shared out by the caller.
    pub fn run(self, items: u32, y: &mut [f32]) {
        let own = if self.transformed.is_none() { self.transform() } else { None };
        let transformed = if self.transformed.is_some() { self.transformed } else { self.transformed(own.as_deref()) };
        Convolve { transformed, ..self }.play(items, y);
    }

    fn play(self, items: u32, y: &mut [f32]) {
        let (each, mut parts) = ((self.out * self.y_plane) as usize, Vec::new());
        let y = &mut y[..items as usize * each];
        match self.levels {
            // Small maps of several items are computed together.
            [level] if self.n > 1 && items > 0 && !self.by_rows(level) => {
                let all = PlanesMut::new(y, (items * self.out) as usize);
                self.part([0, items], level, [0, level.x_h + 1 - self.k], all).play();
            }
            _ => {
                for (item, y) in (0..).zip(y.chunks_exact_mut(each)) {
                    self.parts(item, y, &mut parts);
                    if self.n > 1 {
                        parts.drain(..).for_each(ConvPart::play);
                    }
                }
            }
        }
        parts.into_par_iter().for_each(ConvPart::play);
    }

    /// Computes the first item on the caller's thread.
    pub fn run_here(self, y: &mut [f32]) {
        let mut parts = Vec::new();
        self.parts(0, y, &mut parts);
        parts.into_iter().for_each(ConvPart::play);
    }

    /// Returns the transformed weights, if the largest level benefits from them.
    pub fn transform(&self) -> Option<Vec<f32>> {
        let (c, padded) = (self.c as usize, self.out.next_multiple_of(GROUP as u32) as usize);
        let sizes = self.sizes(self.levels.first()?)?;
        Some(Simd::chosen().run(Transform { c, padded, sizes, weight: self.weight }))
    }

    /// Returns weights that [`Convolve::transform`] has returned as a computation takes them.
    pub fn transformed<'t>(&self, data: Option<&'t [f32]>) -> Option<Transformed<'t>> {
        let sizes = self.sizes(self.levels.first()?)?;
        data.map(|data| Transformed { data, sizes })
    }

    /// Returns by what factor rounding errors may exceed those of plain sums.
    pub fn growth(&self) -> f32 {
        self.levels.first().and_then(|level| self.sizes(level)).map_or(1.0, FilterSizes::growth)
    }

    /// Returns the best sizes of a filtering for a level, unless it is better computed directly.
    fn sizes(&self, level: &Level) -> Option<FilterSizes> {
        let size = [level.x_h, level.x_w].map(|side| (side + 1 - self.k) as usize);
        FilterSizes::of(self.k as usize, self.c as usize, self.out as usize, size)
    }

    /// Returns whether a level has rows that are wide enough for vectors of pixels, and too few channels for
    /// vectors of channels.
    fn by_rows(&self, level: &Level) -> bool {
        self.out < GROUP as u32 && level.y_w as usize >= NARROWEST && matches!(self.pool, [1, 1] | [2, 2])
    }

    /// Cuts the levels of one item into ranges of rows, and assigns each range to a micro-kernel.
    fn parts<'a>(&'a self, item: u32, y: &'a mut [f32], parts: &mut Vec<ConvPart<'a>>) {
        let [side, stride] = self.pool;
        let mut rest = PlanesMut::new(y, self.out as usize);
        for level in self.levels {
            let height = level.x_h + 1 - self.k;
            // With stride 1 and one window, a row of results is a row of the convolution.
            let step = if self.n > 1 { level.y_h } else { (TASK / level.y_w).max(1).next_multiple_of(ROWS) };
            for first in (0..level.y_h).step_by(step as usize) {
                let end = (first + step).min(level.y_h);
                let (y, others) = rest.split_at(((end - first) * level.y_w) as usize);
                rest = others;
                let rows = [first * stride, ((end - 1) * stride + side).min(height)];
                parts.push(self.part([item, 1], level, rows, y));
            }
        }
    }

    /// Computes the results of `items` items, starting at `first`, from rows `from .. to` of the convolution.
    fn part<'a>(&'a self, [first, items]: [u32; 2], level: &Level, [from, to]: [u32; 2], y: PlanesMut<'a>) -> ConvPart<'a> {
        let item = (self.c * self.x_plane) as usize;
        let at = first as usize * item + (level.x + from * level.x_w) as usize;
        let (x, c, plane, width, k) = (&self.x[at..], self.c as usize, self.x_plane as usize, level.x_w as usize, self.k as usize);
        let rows = (to - from) as usize;
        let (weight, bias, slope) = (self.weight, self.bias, self.slope);
        if self.by_rows(level) {
            let pool = self.pool == [2, 2];
            return ConvPart::Rows(ConvRows { x, c, plane, width, rows, k, weight, bias, slope, pool, y });
        }
        let (items, height, pool) = (items as usize, rows + k - 1, self.pool.map(|side| side as usize));
        let layer = MapLayer { x, items, item, c, plane, width, height, k, weight, bias, slope, pool };
        // One set of weights serves all levels, but for those that are too small.
        let transformed = self.transformed.filter(|_| self.sizes(level).is_some());
        ConvPart::Map(ConvMap { layer, transformed, y })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::nn::{Conv, MaxPool};
    use crate::kernels::{largest, words};
    use crate::record::Kernel as _;
    use crate::tensor::{Extent, Shape, Tensor, noise};

    /// Compares pooled convolutions with the references of convolution and pooling, applied in sequence.
    fn check(n: u32, c: u32, levels: &[[u32; 2]], out: u32, k: u32, pool: [u32; 2]) {
        let extents: Vec<Extent> = levels.iter().map(|&[h, w]| Extent { h, w }).collect();
        let x_shape = Shape::ragged(n, c, extents.clone()).expect("a valid shape");
        let (conv, conv_table, between) = Conv::new(&x_shape, out, k).expect("a valid shape");
        let (max, max_table, y_shape) = MaxPool::new(&between, pool[0], pool[1]).expect("a valid shape");
        let shape = [out, c, k, k].map(|size| size as usize);
        let weight = Conv::pack(&Tensor { shape: shape.to_vec(), data: noise(shape.iter().product(), 2) });
        let (bias, slope) = (Conv::pad(&noise(out as usize, 3)), Conv::pad(&noise(out as usize, 4)));
        let x = noise(x_shape.elements() as usize, 1);
        let read: [&[f32]; 5] = [&x, &weight, &bias, &slope, &words(conv_table)];
        let (mut middle, mut want) = (vec![f32::NAN; between.elements() as usize], vec![f32::NAN; y_shape.elements() as usize]);
        conv.reference(n, &read, &mut [&mut middle]);
        max.reference(n, &[&middle, &words(max_table)], &mut [&mut want]);
        let (table, _) = Level::table(&extents, y_shape.levels(), Extent { h: 1, w: 1 });
        let table = words(table);
        let (x_plane, y_plane, levels) = (x_shape.plane(), y_shape.plane(), Level::list(&table));
        let convolve = Convolve {
            n,
            c,
            out,
            k,
            x_plane,
            y_plane,
            pool,
            levels,
            x: &x,
            weight: &weight,
            bias: &bias,
            slope: &slope,
            transformed: None,
        };
        let terms = (c * k * k + 1) as f32 * convolve.growth();
        let limit = terms * (largest(&x) * largest(&weight)).max(largest(&bias)) * f32::EPSILON;
        Simd::try_each(|simd| {
            let mut got = vec![f32::NAN; want.len()];
            convolve.run(n, &mut got);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let within = (got - want).abs() <= limit;
                assert!(within, "{simd}: {c} to {out} channels, {k} x {k}, pool {pool:?}, element {i}: got {got}, want {want}");
            }
        });
    }

    #[test]
    fn pooling_on_the_way_equals_pooling_afterwards_with_every_instruction_set() {
        check(1, 3, &[[3, 3]], 1, 3, [2, 2]);
        check(1, 3, &[[131, 67], [23, 38], [40, 37], [12, 12]], 10, 3, [2, 2]);
        check(1, 3, &[[23, 31], [17, 5], [4, 3]], 17, 3, [3, 2]);
        check(5, 3, &[[24, 24]], 28, 3, [3, 2]);
        check(2, 28, &[[11, 11]], 48, 3, [3, 2]);
        check(2, 32, &[[23, 23]], 64, 3, [3, 2]);
        check(3, 64, &[[10, 10]], 64, 3, [2, 2]);
        check(2, 20, &[[9, 14], [6, 7]], 33, 3, [2, 2]);
        check(1, 16, &[[35, 41], [13, 9], [6, 6]], 32, 3, [2, 2]);
        check(9, 48, &[[4, 4]], 64, 2, [2, 2]);
        check(9, 8, &[[5, 7]], 17, 2, [2, 2]);
        check(3, 10, &[[7, 12]], 16, 3, [3, 2]);
    }
}
