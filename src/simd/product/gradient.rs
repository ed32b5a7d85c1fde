//! Gradients of weights: images times gradients, summed over places.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::Scratch;
use super::super::vector::{transpose, turn};
use super::super::{Simd, Task, Vector};
use super::image::{PlaceRun, panel};
use super::tile::{Base, Left, Sums, columns, next_rows, rows, tile};
use super::{BLOCK, Image, Shared, Tap, even};

/// `dweight[slab, o, c, t] = Σ_place dy[o, place] image[c, place + t]`, where a slab is `slab` neighbouring
/// places.
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
        let plan = simd.run(GradientPlanning { outputs: self.outputs, places, slab: self.slab.min(places) });
        let to = Shared(self.dweight.as_mut_ptr());
        let tiles = columns.div_ceil(plan.rows);
        let parts = (2 * rayon::current_num_threads()).div_ceil(slabs).min(tiles);
        // What several tasks read is packed once.
        let mut memory = Scratch::take_shared();
        let len = if parts > 1 { slabs * plan.blocks * plan.block } else { 0 };
        let [right] = memory.parts([len]);
        right[..len].par_chunks_exact_mut(plan.block).enumerate().for_each(|(i, right)| {
            simd.run(PackBlock { gradient: &self, plan: &plan, places: plan.range(i / plan.blocks, i % plan.blocks), right });
        });
        let right = &right[..len];
        (0..slabs * parts).into_par_iter().for_each(|task| {
            let (slab, part) = (task / parts, task % parts);
            let [first, last] = [part, part + 1].map(|i| (i * tiles / parts * plan.rows).min(columns));
            simd.run(GradientColumns { gradient: &self, plan: &plan, right, to, slab, columns: first..last });
        });
    }

    /// Packs gradients, outputs as lanes: `[panels, places, columns]`.
    #[inline(always)]
    fn pack<V: Vector>(&self, plan: &GradientPlan, places: Range<usize>, right: &mut [f32]) {
        let (plane, width) = (self.image.grid[0] * self.image.grid[1], columns::<V>());
        let mut place = places.start;
        while place < places.end {
            let (item, at) = (place / plane, place % plane);
            let count = (plane - at).min(places.end - place);
            for (i, right) in right.chunks_exact_mut(plan.panel).enumerate() {
                let first = i * width;
                let from = &self.dy[item * self.dy_item + first * plane + at..];
                turn::<V>(from, [width.min(self.outputs - first), plane, count], &mut right[(place - places.start) * width..], width);
            }
            place += count;
        }
    }
}

/// How a gradient is divided.
struct GradientPlan {
    /// Places in all.
    places: usize,
    /// Places of a slab.
    slab: usize,
    /// Places of a block, at most.
    depth: usize,
    /// Blocks of a slab.
    blocks: usize,
    /// Rows of a tile.
    rows: usize,
    /// Outputs, as lanes of whole panels.
    width: usize,
    /// Elements of a packed panel.
    panel: usize,
    /// Panels that a core's cache holds.
    together: usize,
    /// Elements of a packed block.
    block: usize,
}

impl GradientPlan {
    /// Places of a block: none if the slab has not as many blocks.
    fn range(&self, slab: usize, block: usize) -> Range<usize> {
        let last = ((slab + 1) * self.slab).min(self.places);
        let first = (slab * self.slab + block * self.depth).min(last);
        first..(first + self.depth).min(last)
    }
}

struct GradientPlanning {
    outputs: usize,
    places: usize,
    slab: usize,
}

impl Task for GradientPlanning {
    type Output = GradientPlan;

    #[inline(always)]
    fn run<V: Vector>(self) -> GradientPlan {
        let Self { outputs, places, slab } = self;
        let width = outputs.next_multiple_of(columns::<V>());
        let depth = even(slab, (BLOCK / width).clamp(DEPTH / 2, DEPTH));
        let panel = panel::<V>(depth);
        let together = (BLOCK / (depth * columns::<V>())).max(1);
        GradientPlan {
            places,
            slab,
            depth,
            blocks: slab.div_ceil(depth),
            rows: rows::<V>(),
            width,
            panel,
            together,
            block: width / columns::<V>() * panel,
        }
    }
}

/// One packed block.
struct PackBlock<'a> {
    gradient: &'a Gradient<'a>,
    plan: &'a GradientPlan,
    places: Range<usize>,
    right: &'a mut [f32],
}

impl Task for PackBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.gradient.pack::<V>(self.plan, self.places, self.right);
    }
}

/// The part of a slab in the gradients of some columns of the weights.
struct GradientColumns<'a> {
    gradient: &'a Gradient<'a>,
    plan: &'a GradientPlan,
    right: &'a [f32],
    to: Shared,
    slab: usize,
    columns: Range<usize>,
}

impl Task for GradientColumns<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { gradient, plan, .. } = self;
        let (taps, row) = (gradient.taps, plan.depth + APART);
        let mut memory = Scratch::take();
        let packed = if self.right.is_empty() { plan.block } else { 0 };
        let [sums, mine, left] = memory.parts([self.columns.len() * plan.width, packed, rows::<V>() * row]);
        sums.fill(0.0);
        let mut runs: Vec<Vec<PlaceRun>> = vec![Vec::new(); taps.len()];
        for block in 0..plan.blocks {
            let places = plan.range(self.slab, block);
            let right = if self.right.is_empty() {
                gradient.pack::<V>(plan, places.clone(), mine);
                &*mine
            } else {
                &self.right[(self.slab * plan.blocks + block) * plan.block..][..plan.block]
            };
            for (runs, tap) in runs.iter_mut().zip(taps) {
                gradient.image.runs(places.clone(), tap.at, runs);
            }
            for (i, right) in right.chunks(plan.together * plan.panel).enumerate() {
                self.tiles::<V>(&runs, places.len(), right, left, &mut sums[i * plan.together * columns::<V>()..]);
            }
        }
        self.finish::<V>(sums);
    }
}

impl GradientColumns<'_> {
    /// Adds to the sums of all columns, of the outputs of some panels.
    #[inline(always)]
    fn tiles<V: Vector>(&self, runs: &[Vec<PlaceRun>], depth: usize, right: &[f32], left: &mut [f32], sums: &mut [f32]) {
        let Self { gradient: Gradient { image, taps, .. }, plan, columns: range, .. } = self;
        let row = plan.depth + APART;
        let mut done = 0;
        while done < range.len() {
            let count = next_rows::<V>(range.len() - done);
            for (i, left) in left.chunks_exact_mut(row).enumerate().take(count) {
                let column = range.start + done + i;
                image.copy::<V>(column / taps.len(), &runs[column % taps.len()], &mut left[..depth]);
            }
            for (i, right) in right.chunks_exact(plan.panel).enumerate() {
                let to = &mut sums[done * plan.width + i * columns::<V>()..][..(count - 1) * plan.width + columns::<V>()];
                assert!(right.len() >= depth * columns::<V>() && left.len() >= count * row, "whole panels and rows");
                // SAFETY: rows and panel are as deep as that; the slice of the sums holds all rows of the
                // tile.
                unsafe {
                    let left = Left { first: left.as_ptr(), row, step: 1 };
                    tile::<V>(count, depth, left, right.as_ptr(), Sums { first: to.as_mut_ptr(), row: plan.width, base: Base::There });
                }
            }
            done += count;
        }
    }

    /// Transposes the sums, `[columns, outputs]`, to the gradient.
    #[inline(always)]
    fn finish<V: Vector>(&self, sums: &[f32]) {
        let Gradient { ref image, taps, outputs, dweight_slab, add, .. } = *self.gradient;
        let (all, width, count) = (image.channels * taps.len(), self.plan.width, self.columns.len());
        assert!(sums.len() >= count * width && width >= outputs.next_multiple_of(V::LANES), "sums of all columns");
        for (o, column) in (0..outputs).step_by(V::LANES).flat_map(|o| (0..count).step_by(V::LANES).map(move |column| (o, column))) {
            let n = (count - column).min(V::LANES);
            let mut square = [V::splat(0.0); 16];
            for (i, row) in square.iter_mut().enumerate().take(n) {
                // SAFETY: these sums were checked above.
                *row = unsafe { V::load(sums.as_ptr().add((column + i) * width + o)) };
            }
            transpose(&mut square);
            for (i, row) in square.iter().enumerate().take((outputs - o).min(V::LANES)) {
                // SAFETY: `Gradient::run` checked that the weights are whole; these columns of this slab are
                // this task's alone.
                unsafe {
                    let to = self.to.first().add(self.slab * dweight_slab + (o + i) * all + self.columns.start + column);
                    if add { V::load_first(to, n).add(*row) } else { *row }.store_first(to, n);
                }
            }
        }
    }
}
