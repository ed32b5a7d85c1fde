//! A factor of rows times an image.

use std::ops::Range;

use rayon::prelude::*;

use super::super::scratch::Scratch;
use super::super::{Simd, Task, Vector};
use super::image::{PlaceRun, panel};
use super::tile::{Base, Left, Sums, columns, next_rows, prefetch, rows, tile};
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
/// Depth of a block where the right factor is a matrix, which is read in long rows.
const DEPTH_OF_MATRIX: usize = 128;
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
        let Self { left: factor, image, taps, target } = self;
        let to = Shared(target.data.as_mut_ptr());
        let strides = [target.item, target.row, target.down, target.right];
        let start = target.start;
        (0..plan.column_blocks * plan.row_blocks).into_par_iter().for_each(|task| {
            let part = |i: usize, of: usize, all: usize| i * all / of..(i + 1) * all / of;
            let panels = part(task / plan.row_blocks, plan.column_blocks, plan.panels);
            let row_tiles = part(task % plan.row_blocks, plan.row_blocks, factor.rows.div_ceil(plan.rows));
            let rows = row_tiles.start * plan.rows..(row_tiles.end * plan.rows).min(factor.rows);
            simd.run(ProductBlock { plan: &plan, factor, left, right, image, taps, panels, rows, to, strides, start });
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

/// How a product is divided.
struct ProductPlan {
    /// Whether tiles read the left factor where it is.
    in_place: bool,
    /// Whether the next block of the right factor is asked for while this one is used.
    streamed: bool,
    /// Channels times taps.
    all: usize,
    /// Depth of a block; the last may be less deep.
    depth: usize,
    /// Rows of the left factor.
    all_rows: usize,
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

impl ProductPlan {
    /// Elements of the packed left factor.
    fn left(&self) -> usize {
        self.all_rows.next_multiple_of(self.rows) * self.all
    }

    /// Elements of the packed right factor.
    fn right(&self) -> usize {
        self.all.div_ceil(self.depth) * self.panels * self.panel
    }

    fn depths(&self, block: usize) -> Range<usize> {
        block * self.depth..((block + 1) * self.depth).min(self.all)
    }

    fn places(&self, panel: usize) -> Range<usize> {
        panel * self.columns..((panel + 1) * self.columns).min(self.all_places)
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
        let in_place = panels <= 2 && taps.len() == 1 && left.channel == 1 && left.rows > rows::<V>();
        let streamed = image.matrix(taps);
        let depth = even(
            all,
            if in_place {
                DEPTH_IN_PLACE
            } else if streamed {
                DEPTH_OF_MATRIX
            } else {
                DEPTH
            },
        );
        let threads = rayon::current_num_threads();
        let column_blocks = panels.div_ceil((BLOCK / (depth * columns::<V>())).max(1));
        // As many for each thread, but no more than there are.
        let column_blocks = column_blocks.next_multiple_of(threads).min(panels);
        let row_blocks =
            if column_blocks >= threads { 1 } else { (4 * threads).div_ceil(column_blocks).min(left.rows.div_ceil(rows::<V>())) };
        let (all_rows, rows, columns, panel) = (left.rows, rows::<V>(), columns::<V>(), panel::<V>(depth));
        ProductPlan { in_place, streamed, all, depth, all_rows, rows, columns, panel, panels, all_places, column_blocks, row_blocks }
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

/// Some rows of some panels.
struct ProductBlock<'a> {
    plan: &'a ProductPlan,
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

impl Task for ProductBlock<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let plan = self.plan;
        let mut memory = Scratch::take();
        let packed = if self.right.is_empty() { self.panels.len() * plan.panel } else { 0 };
        let [mine, sums] = memory.parts([packed, rows::<V>() * columns::<V>()]);
        let places: Vec<Range<usize>> = self.panels.clone().map(|panel| plan.places(panel)).collect();
        let targets: Vec<Vec<PlaceRun>> = places.iter().map(|places| self.target_runs(places.clone())).collect();
        for block in 0..plan.all.div_ceil(plan.depth) {
            let depth = plan.depths(block);
            if self.right.is_empty() {
                self.image.pack::<V>(self.taps, depth.clone(), &places, mine, plan.panel);
            }
            let right = if self.right.is_empty() { &*mine } else { &self.right[(block * plan.panels + self.panels.start) * plan.panel..] };
            let (mut row, mut done) = (self.rows.start, 0);
            while row < self.rows.end {
                let count = next_rows::<V>(self.rows.end - row);
                for (i, right) in right.chunks_exact(plan.panel).enumerate().take(targets.len()) {
                    if plan.streamed {
                        self.ask(depth.end, &places, done, targets.len() * self.rows.len().div_ceil(plan.rows));
                        done += 1;
                    }
                    if let Some(next) = targets.get(i + 1)
                        && (depth.start > 0 || matches!(self.start, Start::Add))
                    {
                        self.ask_target(row, count, next);
                    }
                    self.tile::<V>(row, count, depth.clone(), right, &targets[i], sums);
                }
                row += count;
            }
        }
    }
}

impl ProductBlock<'_> {
    /// Where the elements of `places` go in the first row: neighbours together.
    fn target_runs(&self, places: Range<usize>) -> Vec<PlaceRun> {
        let ([down, across], [item, _, row, column]) = (self.image.grid, self.strides);
        let mut runs: Vec<PlaceRun> = Vec::new();
        for (i, place) in places.enumerate() {
            let from = place / (down * across) * item + place / across % down * row + place % across * column;
            match runs.last_mut() {
                Some(run) if run.from + run.len == from => run.len += 1,
                _ => runs.push(PlaceRun { place: i, from, len: 1 }),
            }
        }
        runs
    }

    /// Asks for part `part` of `of` of the block that begins at `depth`.
    #[inline(always)]
    fn ask(&self, depth: usize, places: &[Range<usize>], part: usize, of: usize) {
        let count = self.plan.depth.min(self.plan.all - depth);
        if let [first, .., last] = places {
            self.image.prefetch(depth + count * part / of..depth + count * (part + 1).min(of) / of, first.start..last.end);
        }
    }

    /// Asks for the elements that a tile will be added to.
    #[inline(always)]
    fn ask_target(&self, row: usize, count: usize, targets: &[PlaceRun]) {
        if targets.len() <= count {
            for (run, r) in targets.iter().flat_map(|run| (0..count).map(move |r| (run, r))) {
                prefetch(self.to.first().wrapping_add(run.from + (row + r) * self.strides[1]), run.len);
            }
        }
    }

    #[inline(always)]
    fn tile<V: Vector>(&self, row: usize, count: usize, depth: Range<usize>, right: &[f32], targets: &[PlaceRun], sums: &mut [f32]) {
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
            if let [PlaceRun { from, len, .. }] = *targets
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
