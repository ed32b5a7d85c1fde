//! The native body of convolutions, pooled or not: which micro-kernel computes which part of the result.

use rayon::prelude::*;

use super::Level;
use crate::simd::{ConvMap, ConvRows, Layer, NARROWEST, PlanesMut, Simd, Transform, Transformed};

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
enum Part<'a> {
    Map(ConvMap<'a>),
    Rows(ConvRows<'a>),
}

impl Convolve<'_> {
    /// The first `items` items, to `y: [n, out, y_plane]`. One item alone is shared among threads; several are left to the caller's.
    pub fn run(self, items: u32, y: &mut [f32]) {
        let simd = Simd::chosen();
        let transformed = self.transform(simd);
        let play = |part| match part {
            Part::Map(map) => simd.run(map),
            Part::Rows(rows) => simd.run(rows),
        };
        let mut parts = Vec::new();
        for (item, y) in y.chunks_exact_mut((self.out * self.y_plane) as usize).take(items as usize).enumerate() {
            self.parts(item, y, transformed.as_ref(), &mut parts);
            if self.n > 1 {
                parts.drain(..).for_each(play);
            }
        }
        parts.into_par_iter().for_each(play);
    }

    /// Transformed weights, if some level is worth it.
    fn transform(&self, simd: Simd) -> Option<Transformed> {
        let (c, out, k) = (self.c as usize, self.out as usize, self.k as usize);
        let pays = |level: &Level| Transform::pays(k, c, out, [level.x_h + 1 - self.k, level.x_w + 1 - self.k].map(|side| side as usize));
        let padded = out.next_multiple_of(GROUP);
        self.levels.iter().any(pays).then(|| simd.run(Transform { c, padded, weight: self.weight }))
    }

    /// Cuts the levels of one item into rows, and gives each piece to a micro-kernel.
    fn parts<'a>(&'a self, item: usize, y: &'a mut [f32], transformed: Option<&'a Transformed>, parts: &mut Vec<Part<'a>>) {
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
    ) -> Part<'a> {
        let at = item * (self.c * self.x_plane) as usize + (level.x + from * level.x_w) as usize;
        let (x, c, plane, width, k) = (&self.x[at..], self.c as usize, self.x_plane as usize, level.x_w as usize, self.k as usize);
        let rows = (to - from) as usize;
        let (weight, bias, slope) = (self.weight, self.bias, self.slope);
        let pool = matches!(self.pool, [2, 2]);
        if self.out < GROUP as u32 && level.y_w as usize >= NARROWEST && (pool || self.pool == [1, 1]) {
            return Part::Rows(ConvRows { x, c, plane, width, rows, k, weight, bias, slope, pool, y });
        }
        let layer = Layer { x, c, plane, width, height: rows + k - 1, k, weight, bias, slope, pool: self.pool.map(|side| side as usize) };
        let pays = Transform::pays(k, c, self.out as usize, [rows, width + 1 - k]);
        Part::Map(ConvMap { layer, transformed: transformed.filter(|_| pays), y })
    }
}
