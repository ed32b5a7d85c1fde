//! A factor of rows times an image.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::Scratch;
use super::super::{Simd, Task, Vector};
use super::image::{Run, panel};
use super::tile::{Base, Left, Sums, columns, next_rows, rows, tile};
use super::{BLOCK, Image, Shared, Tap, even};

/// The left factor: element of row `r`, channel `c` and tap `t` is `r * row + c * channel + t.weight`.
#[derive(Clone, Copy)]
pub(crate) struct Factor<'a> {
    /// From the first element on.
    pub data: &'a [f32],
    /// How many rows there are.
    pub rows: usize,
    /// From one row to the next.
    pub row: usize,
    /// From one channel to the next.
    pub channel: usize,
}

/// What a product does with the elements of its target.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    /// Adds to them.
    Add,
    /// Overwrites them, with one value a row added.
    Rows(&'a [f32]),
    /// Overwrites them.
    Zero,
}

/// Where the product goes: element of item `n`, row `r` and place `(i, j)` is `n * item + r * row + i * down + j * right`.
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
}

/// Depth of a block, at most: a panel's rows of the left factor stay in the first cache.
const DEPTH: usize = 512;
/// Depth of a block where the left factor is read in place: neighbouring elements of a row, as many as caches like to fetch ahead.
const DEPTH_IN_PLACE: usize = 2048;

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
        let plan = simd.run(Planning { product: &self });
        let left = if plan.in_place { Vec::new() } else { self.pack_left(&plan) };
        let right = if plan.row_blocks > 1 { self.pack_right(&plan, simd) } else { Vec::new() };
        let Self { left: factor, image, taps, target } = self;
        let to = Shared(target.data.as_mut_ptr());
        let strides = [target.item, target.row, target.down, target.right];
        let start = target.start;
        (0..plan.column_blocks * plan.row_blocks).into_par_iter().for_each(|task| {
            let part = |i: usize, of: usize, all: usize| i * all / of..(i + 1) * all / of;
            let panels = part(task / plan.row_blocks, plan.column_blocks, plan.panels);
            let row_tiles = part(task % plan.row_blocks, plan.row_blocks, factor.rows.div_ceil(plan.rows));
            let rows = row_tiles.start * plan.rows..(row_tiles.end * plan.rows).min(factor.rows);
            simd.run(Block { plan: &plan, factor, left: &left, right: &right, image, taps, panels, rows, to, strides, start });
        });
    }

    fn check(&self) {
        let Self { left, image, taps, target } = self;
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
    }

    /// The left factor as tiles read it: `[blocks, tiles of rows, depth, rows]`, zero beyond the last row.
    fn pack_left(&self, plan: &Plan) -> Vec<f32> {
        let (Factor { data, rows, row, channel }, channels) = (self.left, self.image.channels);
        let padded = rows.next_multiple_of(plan.rows);
        let mut packed = vec![0.0; padded * plan.all];
        for (block, packed) in packed.chunks_mut(plan.depth * padded).enumerate() {
            let depth = packed.len() / padded;
            packed.par_chunks_exact_mut(depth * plan.rows).enumerate().for_each(|(tile, packed)| {
                let first = tile * plan.rows;
                let count = plan.rows.min(rows - first);
                for (k, to) in packed.chunks_exact_mut(plan.rows).enumerate() {
                    let k = block * plan.depth + k;
                    let at = first * row + k % channels * channel + self.taps[k / channels].weight;
                    for (r, to) in to[..count].iter_mut().enumerate() {
                        *to = data[at + r * row];
                    }
                }
            });
        }
        packed
    }

    /// All panels of the right factor, `[blocks, panels]`.
    fn pack_right(&self, plan: &Plan, simd: Simd) -> Vec<f32> {
        let mut packed = vec![0.0; plan.all.div_ceil(plan.depth) * plan.panels * plan.panel];
        packed.par_chunks_exact_mut(plan.panel).enumerate().for_each(|(i, to)| {
            let (image, taps) = (self.image, self.taps);
            simd.run(Pack { image, taps, depth: plan.depths(i / plan.panels), places: plan.places(i % plan.panels), to });
        });
        packed
    }
}

/// How a product is divided.
struct Plan {
    /// Whether tiles read the left factor where it is.
    in_place: bool,
    /// Channels times taps.
    all: usize,
    /// Depth of a block; the last may be less deep.
    depth: usize,
    /// Rows of a tile.
    rows: usize,
    /// Columns of a panel.
    columns: usize,
    /// Elements of a packed panel.
    panel: usize,
    /// Panels of all places.
    panels: usize,
    /// Places.
    all_places: usize,
    column_blocks: usize,
    row_blocks: usize,
}

impl Plan {
    fn depths(&self, block: usize) -> Range<usize> {
        block * self.depth..((block + 1) * self.depth).min(self.all)
    }

    fn places(&self, panel: usize) -> Range<usize> {
        panel * self.columns..((panel + 1) * self.columns).min(self.all_places)
    }
}

struct Planning<'a> {
    product: &'a Product<'a>,
}

impl Task for Planning<'_> {
    type Output = Plan;

    #[inline(always)]
    fn run<V: Vector>(self) -> Plan {
        let Product { left, image, taps, .. } = self.product;
        let (all, all_places) = (image.channels * taps.len(), image.places());
        let panels = all_places.div_ceil(columns::<V>());
        let in_place = panels <= 2 && taps.len() == 1 && left.channel == 1 && left.rows > rows::<V>();
        let depth = even(all, if in_place { DEPTH_IN_PLACE } else { DEPTH });
        let threads = rayon::current_num_threads();
        let column_blocks = panels.div_ceil((BLOCK / (depth * columns::<V>())).max(1));
        // As many for each thread, but no more than there are.
        let column_blocks = column_blocks.next_multiple_of(threads).min(panels);
        let row_blocks = if column_blocks >= threads { 1 } else { (4 * threads).div_ceil(column_blocks).min(left.rows.div_ceil(rows::<V>())) };
        let (rows, columns, panel) = (rows::<V>(), columns::<V>(), panel::<V>(depth));
        Plan { in_place, all, depth, rows, columns, panel, panels, all_places, column_blocks, row_blocks }
    }
}

/// One packed panel.
struct Pack<'a> {
    image: Image<'a>,
    taps: &'a [Tap],
    depth: Range<usize>,
    places: Range<usize>,
    to: &'a mut [f32],
}

impl Task for Pack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        self.image.pack::<V>(self.taps, self.depth, self.places, self.to, &mut Vec::new());
    }
}

/// Some rows of some panels.
struct Block<'a> {
    plan: &'a Plan,
    factor: Factor<'a>,
    left: &'a [f32],
    right: &'a [f32],
    image: Image<'a>,
    taps: &'a [Tap],
    panels: Range<usize>,
    rows: Range<usize>,
    to: Shared,
    strides: [usize; 4],
    start: Start<'a>,
}

impl Task for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let plan = self.plan;
        let mut memory = Scratch::take();
        let packed = if self.right.is_empty() { self.panels.len() * plan.panel } else { 0 };
        let [mine, sums] = memory.parts([packed, rows::<V>() * columns::<V>()]);
        let targets: Vec<Vec<Run>> = self.panels.clone().map(|panel| self.target_runs(plan.places(panel))).collect();
        let mut runs = Vec::new();
        for block in 0..plan.all.div_ceil(plan.depth) {
            let depth = plan.depths(block);
            if self.right.is_empty() {
                for (panel, to) in self.panels.clone().zip(mine.chunks_exact_mut(plan.panel)) {
                    self.image.pack::<V>(self.taps, depth.clone(), plan.places(panel), to, &mut runs);
                }
            }
            let right = if self.right.is_empty() { &*mine } else { &self.right[(block * plan.panels + self.panels.start) * plan.panel..] };
            let mut row = self.rows.start;
            while row < self.rows.end {
                let count = next_rows::<V>(self.rows.end - row);
                for (targets, right) in targets.iter().zip(right.chunks_exact(plan.panel)) {
                    self.tile::<V>(row, count, depth.clone(), right, targets, sums);
                }
                row += count;
            }
        }
    }
}

impl Block<'_> {
    /// Where the elements of `places` go in the first row: neighbours together.
    fn target_runs(&self, places: Range<usize>) -> Vec<Run> {
        let ([down, across], [item, _, row, column]) = (self.image.grid, self.strides);
        let mut runs: Vec<Run> = Vec::new();
        for (i, place) in places.enumerate() {
            let from = place / (down * across) * item + place / across % down * row + place % across * column;
            match runs.last_mut() {
                Some(run) if run.from + run.len == from => run.len += 1,
                _ => runs.push(Run { place: i, from, len: 1 }),
            }
        }
        runs
    }

    #[inline(always)]
    fn tile<V: Vector>(&self, row: usize, count: usize, depth: Range<usize>, right: &[f32], targets: &[Run], sums: &mut [f32]) {
        let (plan, width, stride) = (self.plan, columns::<V>(), self.strides[1]);
        let left = if plan.in_place {
            let first = &self.factor.data[row * self.factor.row + depth.start..];
            assert!((count - 1) * self.factor.row + depth.len() <= first.len(), "whole rows");
            Left { first: first.as_ptr(), row: self.factor.row, step: 1 }
        } else {
            let padded = self.factor.rows.next_multiple_of(plan.rows);
            let tile = &self.left[depth.start * padded + row / plan.rows * plan.rows * depth.len()..][..plan.rows * depth.len()];
            Left { first: tile[row % plan.rows..].as_ptr(), row: 1, step: plan.rows }
        };
        assert!(right.len() >= depth.len() * width && sums.len() >= count * width, "a whole panel");
        let start = if depth.start == 0 { self.start } else { Start::Add };
        // SAFETY: rows of the left factor and the panel were checked here. `Product::check` checked the target, whose elements of these rows
        // and places are this task's alone; a run of a panel's width is as long as the rows of a tile.
        unsafe {
            let to = self.to.first().add(row * stride);
            if let [Run { from, len, .. }] = *targets
                && len == width
            {
                let base = match start {
                    Start::Add => Base::There,
                    Start::Rows(values) => Base::Rows(values[row..].as_ptr()),
                    Start::Zero => Base::Zero,
                };
                return tile::<V>(count, depth.len(), left, right.as_ptr(), Sums { first: to.add(from), row: stride, base });
            }
            tile::<V>(count, depth.len(), left, right.as_ptr(), Sums { first: sums.as_mut_ptr(), row: width, base: Base::Zero });
            for run in targets {
                for (r, sums) in sums.chunks_exact(width).enumerate().take(count) {
                    let base = match start {
                        Start::Add => None,
                        Start::Rows(values) => Some(values[row + r]),
                        Start::Zero => Some(0.0),
                    };
                    scatter::<V>(&sums[run.place..run.place + run.len], to.add(run.from + r * stride), base);
                }
            }
        }
    }
}

/// Adds `sums` to what is at `to`, or overwrites it with `sums + base`.
///
/// # Safety
///
/// As many elements can be read and written.
#[inline(always)]
unsafe fn scatter<V: Vector>(sums: &[f32], to: *mut f32, base: Option<f32>) {
    // SAFETY: by contract; a chunk has at most `LANES` elements.
    unsafe {
        if let [sum] = *sums {
            *to = base.unwrap_or(*to) + sum;
            return;
        }
        for (i, sums) in sums.chunks(V::LANES).enumerate() {
            let (to, n) = (to.add(i * V::LANES), sums.len());
            let there = base.map_or_else(|| V::load_first(to, n), V::splat);
            there.add(V::load_first(sums.as_ptr(), n)).store_first(to, n);
        }
    }
}
