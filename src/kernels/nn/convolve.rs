//! The native body of convolutions, pooled or not: which micro-kernel computes which part of the result.

use rayon::prelude::*;

use super::Level;
use crate::simd::{ConvMap, ConvRows, MapLayer, NARROWEST, PlanesMut, Simd, Transform, Transformed};

/// Output channels that weights are packed in.
const GROUP: usize = 16;
/// Results of a channel that are one task, about, where an item is shared among threads.
const TASK: usize = 4096;

/// A convolution with bias and PReLU, then max pooling.
#[derive(Debug, Clone, Copy)]
pub(super) struct Convolve<'a> {
    pub n: u32,
    pub c: u32,
    pub out: u32,
    pub k: u32,
    pub x_plane: u32,
    pub y_plane: u32,
    /// Side of the pooled windows, at most 3, and the step between them; `[1, 1]` without pooling.
    pub pool: [u32; 2],
    pub levels: &'a [Level],
    pub x: &'a [f32],
    /// `[groups, c, k, k, 16]`.
    pub weight: &'a [f32],
    pub bias: &'a [f32],
    pub slope: &'a [f32],
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
    /// The first `items` items, to `y: [n, out, y_plane]`. One item alone is shared among threads; several are left to the caller's.
    pub fn run(self, items: u32, y: &mut [f32]) {
        let transformed = self.transform();
        let mut parts = Vec::new();
        for (item, y) in y.chunks_exact_mut((self.out * self.y_plane) as usize).take(items as usize).enumerate() {
            self.parts(item, y, transformed.as_ref(), &mut parts);
            if self.n > 1 {
                parts.drain(..).for_each(ConvPart::play);
            }
        }
        parts.into_par_iter().for_each(ConvPart::play);
    }

    /// The first item, on the caller's thread, with weights that were transformed before.
    pub fn run_here(self, transformed: Option<&Transformed>, y: &mut [f32]) {
        let mut parts = Vec::new();
        self.parts(0, y, transformed, &mut parts);
        parts.into_iter().for_each(ConvPart::play);
    }

    /// Transformed weights, if some level is worth it.
    pub fn transform(&self) -> Option<Transformed> {
        let (c, out, k) = (self.c as usize, self.out as usize, self.k as usize);
        let pays = |level: &Level| Transform::pays(k, c, out, [level.x_h + 1 - self.k, level.x_w + 1 - self.k].map(|side| side as usize));
        let padded = out.next_multiple_of(GROUP);
        self.levels.iter().any(pays).then(|| Simd::chosen().run(Transform { c, padded, weight: self.weight }))
    }

    /// Cuts the levels of one item into rows, and gives each piece to a micro-kernel.
    fn parts<'a>(&'a self, item: usize, y: &'a mut [f32], transformed: Option<&'a Transformed>, parts: &mut Vec<ConvPart<'a>>) {
        let [side, stride] = self.pool;
        let mut rest = PlanesMut::new(y, self.out as usize);
        for level in self.levels {
            let height = level.x_h + 1 - self.k;
            // With stride 1 and one window, a row of results is a row of the convolution.
            let step = if self.n > 1 { level.y_h } else { (TASK as u32 / level.y_w).max(8).min(level.y_h) };
            for first in (0..level.y_h).step_by(step as usize) {
                let end = (first + step).min(level.y_h);
                let (y, others) = rest.split_at(((end - first) * level.y_w) as usize);
                rest = others;
                let rows = [first * stride, ((end - 1) * stride + side).min(height)];
                parts.push(self.part(item, level, rows, transformed, y));
            }
        }
    }

    /// The results from rows `from .. to` of the convolution.
    fn part<'a>(
        &'a self,
        item: usize,
        level: &Level,
        [from, to]: [u32; 2],
        transformed: Option<&'a Transformed>,
        y: PlanesMut<'a>,
    ) -> ConvPart<'a> {
        let at = item * (self.c * self.x_plane) as usize + (level.x + from * level.x_w) as usize;
        let (x, c, plane, width, k) = (&self.x[at..], self.c as usize, self.x_plane as usize, level.x_w as usize, self.k as usize);
        let rows = (to - from) as usize;
        let (weight, bias, slope) = (self.weight, self.bias, self.slope);
        let pool = matches!(self.pool, [2, 2]);
        if self.out < GROUP as u32 && level.y_w as usize >= NARROWEST && (pool || self.pool == [1, 1]) {
            return ConvPart::Rows(ConvRows { x, c, plane, width, rows, k, weight, bias, slope, pool, y });
        }
        let layer =
            MapLayer { x, c, plane, width, height: rows + k - 1, k, weight, bias, slope, pool: self.pool.map(|side| side as usize) };
        let pays = Transform::pays(k, c, self.out as usize, [rows, width + 1 - k]);
        ConvPart::Map(ConvMap { layer, transformed: transformed.filter(|_| pays), y })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::nn::{Conv, MaxPool};
    use crate::kernels::{largest, words};
    use crate::record::Kernel as _;
    use crate::tensor::{Extent, Shape, Tensor, noise};

    /// Pooled convolutions against the references of convolution and pooling, one after the other.
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
        let limit = (c * k * k + 1) as f32 * (largest(&x) * largest(&weight)).max(largest(&bias)) * f32::EPSILON;
        let convolve = Convolve { n, c, out, k, x_plane, y_plane, pool, levels, x: &x, weight: &weight, bias: &bias, slope: &slope };
        for simd in Simd::available() {
            simd.choose();
            let mut got = vec![f32::NAN; want.len()];
            convolve.run(n, &mut got);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let within = (got - want).abs() <= limit;
                assert!(within, "{simd}: {c} to {out} channels, {k} x {k}, pool {pool:?}, element {i}: got {got}, want {want}");
            }
        }
        Simd::best().choose();
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
    }
}
