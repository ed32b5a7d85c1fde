//! Some rows of some panels of a product: what one task computes.

use std::ops::Range;

use super::super::scratch::Scratch;
use super::super::{Task, Vector};
use super::image::PlaceRun;
use super::plan::{Factor, Finish, ProductPlan, Start, activated};
use super::tile::{Base, Left, Sums, columns, next_rows, prefetch, rows, tile};
use super::{Image, Shared, Tap};

pub(super) struct Block<'a> {
    pub plan: &'a ProductPlan,
    pub factor: Factor<'a>,
    /// The left factor, packed.
    pub left: &'a [f32],
    /// The right factor, packed; empty if every task packs its own.
    pub right: &'a [f32],
    pub image: Image<'a>,
    pub taps: &'a [Tap],
    pub panels: Range<usize>,
    pub rows: Range<usize>,
    pub to: Shared,
    /// From one item, row, row of places and place of the target to the next.
    pub strides: [usize; 4],
    pub start: Start<'a>,
    pub finish: Option<Finish<'a>>,
}

/// Panels whose part of the target is asked for before it is needed.
const AHEAD: usize = 2;

impl Task for Block<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let plan = self.plan;
        let mut memory = Scratch::take();
        let packed = if self.right.is_empty() { self.panels.len() } else { 0 };
        let [mine, sums] = memory.parts([packed * plan.panel, rows::<V>() * columns::<V>()]);
        let places: Vec<Range<usize>> = self.panels.clone().map(|panel| plan.places(panel)).collect();
        let targets: Vec<Vec<PlaceRun>> = places.iter().map(|places| self.target_runs(places.clone())).collect();
        for block in 0..plan.all.div_ceil(plan.depth) {
            let depth = plan.depths(block);
            let right = if self.right.is_empty() {
                self.image.pack::<V>(self.taps, depth.clone(), &places, mine, plan.panel);
                &*mine
            } else {
                &self.right[(block * plan.panels + self.panels.start) * plan.panel..]
            };
            let mut row = self.rows.start;
            while row < self.rows.end {
                let count = next_rows::<V>(self.rows.end - row);
                for (i, right) in right.chunks(plan.panel).enumerate().take(targets.len()) {
                    if let Some(next) = targets.get(i + AHEAD).filter(|_| block > 0 || matches!(self.start, Start::Add)) {
                        self.ask_target(row, count, next);
                    }
                    self.tile::<V>(row, count, depth.clone(), right, &targets[i], sums);
                    if let Some(finish) = self.finish.filter(|_| depth.end == plan.all) {
                        self.activate::<V>(row, count, finish, &targets[i]);
                    }
                }
                row += count;
            }
        }
    }
}

impl Block<'_> {
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

    /// Asks for the elements that a tile will be added to.
    #[inline(always)]
    fn ask_target(&self, row: usize, count: usize, targets: &[PlaceRun]) {
        if targets.len() <= count {
            for (run, r) in targets.iter().flat_map(|run| (0..count).map(move |r| (run, r))) {
                prefetch(self.to.first().wrapping_add(run.from + (row + r) * self.strides[1]), run.len);
            }
        }
    }

    /// Puts the whole sums of a tile through their activation.
    #[inline(always)]
    fn activate<V: Vector>(&self, row: usize, count: usize, finish: Finish<'_>, targets: &[PlaceRun]) {
        let most = V::splat(finish.most);
        for (r, slope) in finish.slopes[row..row + count].iter().enumerate() {
            let slope = V::splat(*slope);
            for run in targets {
                for at in (0..run.len).step_by(V::LANES) {
                    let n = (run.len - at).min(V::LANES);
                    // SAFETY: `Product::check` checked the target, whose elements of these rows and places
                    // are this task's alone.
                    unsafe {
                        let to = self.to.first().add(run.from + at + (row + r) * self.strides[1]);
                        if n == V::LANES {
                            activated(V::load(to), slope, most).store(to);
                        } else {
                            activated(V::load_first(to, n), slope, most).store_first(to, n);
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn tile<V: Vector>(&self, row: usize, count: usize, depth: Range<usize>, right: &[f32], targets: &[PlaceRun], sums: &mut [f32]) {
        let (plan, width, stride) = (self.plan, columns::<V>(), self.strides[1]);
        let left = if plan.in_place {
            let Factor { data, row: next, channel, .. } = self.factor;
            let first = &data[row * next + depth.start * channel..];
            assert!((count - 1) * next + (depth.len() - 1) * channel < first.len(), "whole rows");
            Left { first: first.as_ptr(), row: next, step: channel }
        } else {
            let padded = self.factor.rows.next_multiple_of(plan.rows);
            let tile = &self.left[depth.start * padded + row / plan.rows * plan.rows * depth.len()..][..plan.rows * depth.len()];
            Left { first: tile[row % plan.rows..].as_ptr(), row: 1, step: plan.rows }
        };
        assert!(right.len() >= depth.len() * width && sums.len() >= count * width, "a whole panel");
        let start = if depth.start == 0 { self.start } else { Start::Add };
        // SAFETY: rows of the left factor and the panel were checked here. `Product::check` checked the
        // target, whose elements of these rows and places are this task's alone; a run of a panel's width is
        // as long as the rows of a tile.
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
