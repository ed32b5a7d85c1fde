//! A factor of rows times an image.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::Scratch;
use super::super::{Simd, Task, Vector};
use super::block::Block;
use super::image::panel;
use super::plan::{Factor, Finish, ProductPlan, Start};
use super::tile::{columns, rows};
use super::{BLOCK, Image, Shared, Tap, even};

/// Where the product goes: element of item `n`, row `r` and place `(i, j)` is
/// `n * item + r * row + i * down + j * right`.
pub(crate) struct Target<'a> {
    /// From the first element on.
    pub data: &'a mut [f32],
    /// From one item to the next.
    pub item: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one row of places to the next.
    pub down: usize,
    /// From one place to the next.
    pub right: usize,
    /// What happens to the elements that are there.
    pub start: Start<'a>,
}

/// `target[r, place] = Σ_{c,t} left[r, c, t] image[c, place + t]`.
pub(crate) struct Product<'a> {
    /// The left factor.
    pub left: Factor<'a>,
    /// The right factor.
    pub image: Image<'a>,
    /// Elements of the window.
    pub taps: &'a [Tap],
    /// The result.
    pub target: Target<'a>,
    /// What follows.
    pub finish: Option<Finish<'a>>,
}

/// Depth of a block, at most: a panel's rows of the left factor stay in the first cache.
const DEPTH: usize = 512;
/// Depth of a block where tiles read long rows of the left factor in place: as many neighbouring elements as
/// caches like to fetch ahead.
const LONG_DEPTH: usize = 2048;
/// Panels of all places up to which the left factor is read in place.
const IN_PLACE: usize = 8;

impl Product<'_> {
    /// Computes it on all threads.
    ///
    /// # Panics
    ///
    /// If a factor or the target is too short, or elements of the target coincide.
    pub fn run(self) {
        if self.left.rows == 0 || self.image.places() == 0 || self.taps.is_empty() {
            return;
        }
        self.check();
        let simd = Simd::chosen();
        let plan = simd.run(ProductPlanning { product: &self });
        let mut memory = Scratch::take_shared();
        let lengths = [if plan.in_place { 0 } else { plan.left() }, if plan.row_blocks > 1 { plan.right() } else { 0 }];
        let [left, right] = memory.parts(lengths);
        if !plan.in_place {
            self.pack_left(&plan, left);
        }
        if plan.row_blocks > 1 {
            self.pack_right(&plan, simd, right);
        }
        let (left, right) = (&*left, &right[..lengths[1]]);
        let Self { left: factor, image, taps, target, finish } = self;
        let to = Shared(target.data.as_mut_ptr());
        let strides = [target.item, target.row, target.down, target.right];
        let start = target.start;
        (0..plan.column_blocks * plan.row_blocks).into_par_iter().for_each(|task| {
            let part = |i: usize, of: usize, all: usize| i * all / of..(i + 1) * all / of;
            let panels = part(task / plan.row_blocks, plan.column_blocks, plan.panels);
            let row_tiles = part(task % plan.row_blocks, plan.row_blocks, factor.rows.div_ceil(plan.rows));
            let rows = row_tiles.start * plan.rows..(row_tiles.end * plan.rows).min(factor.rows);
            simd.run(Block { plan: &plan, factor, left, right, image, taps, panels, rows, to, strides, start, finish });
        });
    }

    fn check(&self) {
        let Self { left, image, taps, target, finish } = self;
        let last = taps.iter().map(|tap| tap.weight).max().unwrap_or(0);
        assert!((left.rows - 1) * left.row + (image.channels - 1) * left.channel + last < left.data.len(), "the left factor is whole");
        let [down, across] = image.grid;
        let mut extents = [(target.item, image.items), (target.row, left.rows), (target.down, down), (target.right, across)];
        extents.sort_unstable();
        let mut reach = 0;
        for (stride, count) in extents.into_iter().filter(|(_, count)| *count > 1) {
            assert!(stride > reach, "elements of the target coincide");
            reach += stride * (count - 1);
        }
        assert!(reach < target.data.len(), "the target is whole");
        if let Start::Rows(values) = target.start {
            assert!(values.len() >= left.rows, "a value for each row");
        }
        assert!(finish.is_none_or(|finish| finish.slopes.len() >= left.rows), "a slope for each row");
    }

    /// The left factor as tiles read it: `[blocks, tiles of rows, depth, rows]`, zero beyond the last row.
    fn pack_left(&self, plan: &ProductPlan, packed: &mut [f32]) {
        let (Factor { data, rows, row, channel }, channels) = (self.left, self.image.channels);
        let padded = rows.next_multiple_of(plan.rows);
        for (block, packed) in packed[..plan.left()].chunks_mut(plan.depth * padded).enumerate() {
            let depth = packed.len() / padded;
            packed.par_chunks_exact_mut(depth * plan.rows).enumerate().for_each(|(tile, packed)| {
                let first = tile * plan.rows;
                let count = plan.rows.min(rows - first);
                for (k, to) in packed.chunks_exact_mut(plan.rows).enumerate() {
                    let k = block * plan.depth + k;
                    let at = first * row + k % channels * channel + self.taps[k / channels].weight;
                    for (r, to) in to.iter_mut().enumerate() {
                        *to = if r < count { data[at + r * row] } else { 0.0 };
                    }
                }
            });
        }
    }

    /// All panels of the right factor, `[blocks, panels]`.
    fn pack_right(&self, plan: &ProductPlan, simd: Simd, packed: &mut [f32]) {
        packed[..plan.right()].par_chunks_exact_mut(plan.panel).enumerate().for_each(|(i, to)| {
            let (image, taps) = (self.image, self.taps);
            simd.run(PackPanel { image, taps, depth: plan.depths(i / plan.panels), places: plan.places(i % plan.panels), to });
        });
    }
}

struct ProductPlanning<'a> {
    product: &'a Product<'a>,
}

impl Task for ProductPlanning<'_> {
    type Output = ProductPlan;

    #[inline(always)]
    fn run<V: Vector>(self) -> ProductPlan {
        let Product { left, image, taps, .. } = self.product;
        let (all, all_places) = (image.channels * taps.len(), image.places());
        let panels = all_places.div_ceil(columns::<V>());
        // Packing a left factor that meets few places would take as long as the products.
        let in_place = panels <= IN_PLACE && taps.len() == 1 && (left.channel == 1 || left.row == 1) && left.rows > rows::<V>();
        let depth = even(all, if in_place && left.channel == 1 && panels <= 2 { LONG_DEPTH } else { DEPTH });
        let threads = rayon::current_num_threads();
        let column_blocks = panels.div_ceil((BLOCK / (depth * columns::<V>())).max(1));
        // As many for each thread, but no more than there are.
        let column_blocks = column_blocks.next_multiple_of(threads).min(panels);
        let row_blocks =
            if column_blocks >= threads { 1 } else { (4 * threads).div_ceil(column_blocks).min(left.rows.div_ceil(rows::<V>())) };
        let (all_rows, rows, columns, panel) = (left.rows, rows::<V>(), columns::<V>(), panel::<V>(depth));
        ProductPlan { in_place, all, depth, all_rows, rows, columns, panel, panels, all_places, column_blocks, row_blocks }
    }
}

/// One packed panel.
struct PackPanel<'a> {
    image: Image<'a>,
    taps: &'a [Tap],
    depth: Range<usize>,
    places: Range<usize>,
    to: &'a mut [f32],
}

impl Task for PackPanel<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let size = self.to.len();
        self.image.pack::<V>(self.taps, self.depth, &[self.places], self.to, size);
    }
}
