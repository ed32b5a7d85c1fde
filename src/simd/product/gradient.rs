//! Gradients of weights: images times gradients, summed over places.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::Scratch;
use super::super::vector::turn;
use super::super::{Simd, Task, Vector};
use super::image::{Run, panel};
use super::tile::{Base, Left, Sums, columns, next_rows, rows, tile};
use super::{BLOCK, Image, Shared, Tap, even};

/// `dweight[slab, o, c, t] = Σ_place dy[o, place] image[c, place + t]`, where a slab is `slab` neighbouring places.
pub(crate) struct Gradient<'a> {
    /// What the window was over.
    pub image: Image<'a>,
    /// Elements of the window, in the order of the weights.
    pub taps: &'a [Tap],
    /// Gradient of the result, from the first output on.
    pub dy: &'a [f32],
    /// From one item of `dy` to the next.
    pub dy_item: usize,
    /// Outputs.
    pub outputs: usize,
    /// Places of a slab; the last may have fewer.
    pub slab: usize,
    /// `[outputs, channels, taps]` of each slab.
    pub dweight: &'a mut [f32],
    /// From one slab to the next.
    pub dweight_slab: usize,
    /// Whether to add to what is there.
    pub add: bool,
}

/// Places of a block, at most.
const DEPTH: usize = 512;
/// Between the packed rows of an image, so that they do not all fall on the same lines of a cache.
const APART: usize = 16;

impl Gradient<'_> {
    /// Computes it on all threads.
    ///
    /// # Panics
    ///
    /// If a slice is too short.
    pub fn run(self) {
        let (places, columns) = (self.image.places(), self.image.channels * self.taps.len());
        if places == 0 || columns == 0 || self.outputs == 0 {
            return;
        }
        let slabs = places.div_ceil(self.slab);
        assert!(self.dweight.len() >= (slabs - 1) * self.dweight_slab + self.outputs * columns, "the weights are whole");
        assert!(slabs == 1 || self.dweight_slab >= self.outputs * columns, "slabs do not overlap");
        let simd = Simd::chosen();
        let to = Shared(self.dweight.as_mut_ptr());
        let tiles = columns.div_ceil(8);
        let parts = (2 * rayon::current_num_threads()).div_ceil(slabs).min(tiles);
        (0..slabs * parts).into_par_iter().for_each(|task| {
            let part = task % parts;
            let [first, last] = [part, part + 1].map(|i| (i * tiles / parts * 8).min(columns));
            let slab = task / parts;
            let range = slab * self.slab..((slab + 1) * self.slab).min(places);
            simd.run(Part { gradient: &self, to, slab, places: range, columns: first..last });
        });
    }
}

/// The part of some places in the gradients of some columns of the weights.
struct Part<'a> {
    gradient: &'a Gradient<'a>,
    to: Shared,
    slab: usize,
    places: Range<usize>,
    columns: Range<usize>,
}

impl Task for Part<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Gradient { taps, outputs, .. } = *self.gradient;
        let width = outputs.next_multiple_of(columns::<V>());
        let panels = width / columns::<V>();
        let depth = even(self.places.len(), (BLOCK / width).clamp(64, DEPTH));
        let mut memory = Scratch::take();
        let row = depth + APART;
        let [sums, right, left] = memory.parts([self.columns.len() * width, panels * panel::<V>(depth), rows::<V>() * row]);
        sums.fill(0.0);
        let mut runs: Vec<Vec<Run>> = vec![Vec::new(); taps.len()];
        for first in self.places.clone().step_by(depth) {
            let places = first..(first + depth).min(self.places.end);
            self.pack_dy::<V>(places.clone(), right, panel::<V>(depth));
            for (runs, tap) in runs.iter_mut().zip(taps) {
                self.gradient.image.runs(places.clone(), tap.at, runs);
            }
            let mut done = 0;
            while done < self.columns.len() {
                let count = next_rows::<V>(self.columns.len() - done);
                for (i, left) in left.chunks_exact_mut(row).enumerate().take(count) {
                    let column = self.columns.start + done + i;
                    self.gradient.image.copy::<V>(column / taps.len(), &runs[column % taps.len()], &mut left[..places.len()]);
                }
                for (i, right) in right.chunks_exact(panel::<V>(depth)).enumerate().take(panels) {
                    let to = &mut sums[done * width + i * columns::<V>()..][..(count - 1) * width + columns::<V>()];
                    // SAFETY: `count` rows were packed, as deep as the panel; the slice of the sums holds all rows of the tile.
                    unsafe {
                        let left = Left { first: left.as_ptr(), row, step: 1 };
                        let sums = Sums { first: to.as_mut_ptr(), row: width, base: Base::There };
                        tile::<V>(count, places.len(), left, right.as_ptr(), sums);
                    }
                }
                done += count;
            }
        }
        self.finish(sums, width);
    }
}

impl Part<'_> {
    /// Packs the gradients of `places`, outputs as lanes: `[panels, places, columns]`.
    #[inline(always)]
    fn pack_dy<V: Vector>(&self, places: Range<usize>, right: &mut [f32], panel: usize) {
        let Gradient { image, dy, dy_item, outputs, .. } = *self.gradient;
        let (plane, width) = (image.grid[0] * image.grid[1], columns::<V>());
        let mut place = places.start;
        while place < places.end {
            let (item, at) = (place / plane, place % plane);
            let count = (plane - at).min(places.end - place);
            for (i, right) in right.chunks_exact_mut(panel).enumerate().take(outputs.div_ceil(width)) {
                let first = i * width;
                let from = &dy[item * dy_item + first * plane + at..];
                turn::<V>(from, [width.min(outputs - first), plane, count], &mut right[(place - places.start) * width..], width);
            }
            place += count;
        }
    }

    /// Turns the sums, `[columns, outputs]`, into the gradient.
    fn finish(&self, sums: &[f32], width: usize) {
        let Gradient { ref image, taps, outputs, dweight_slab, add, .. } = *self.gradient;
        let all = image.channels * taps.len();
        for o in 0..outputs {
            let first = self.slab * dweight_slab + o * all + self.columns.start;
            // SAFETY: `Gradient::run` checked that the weights are whole; these columns of this slab are this task's alone.
            let to = unsafe { std::slice::from_raw_parts_mut(self.to.first().add(first), self.columns.len()) };
            for (to, sums) in to.iter_mut().zip(sums.chunks_exact(width)) {
                *to = if add { *to + sums[o] } else { sums[o] };
            }
        }
    }
}
