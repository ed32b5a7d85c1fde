//! Images as factors of a product: a row for each channel and tap, a column for each place that a window
//! takes.

use std::ops::Range;

use super::super::Vector;
use super::super::vector::turn;
use super::tile::columns;

/// One element of a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tap {
    /// How far the weights of this tap lie behind those of the first.
    pub weight: usize,
    /// Rows and columns from a window's first element to the tap; below zero in the padding.
    pub at: [isize; 2],
}

/// Images, and the places of a window over them. What lies outside an image is zero.
#[derive(Clone, Copy)]
pub(crate) struct Image<'a> {
    /// From the first element of the first channel on.
    pub data: &'a [f32],
    /// How many images there are.
    pub items: usize,
    /// From one item to the next.
    pub item: usize,
    /// Channels of an item that take part.
    pub channels: usize,
    /// From one channel to the next.
    pub plane: usize,
    /// Rows and columns of a channel.
    pub size: [usize; 2],
    /// Places of the window, down and across.
    pub grid: [usize; 2],
    /// Rows and columns from one place to the next.
    pub step: usize,
}

/// Neighbouring places whose elements lie in one row of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PlaceRun {
    /// The first place, counted from that of the range.
    pub place: usize,
    /// Its element in the first channel.
    pub from: usize,
    /// Places.
    pub len: usize,
}

impl Image<'_> {
    /// Places of all items.
    pub fn places(&self) -> usize {
        self.items * self.grid[0] * self.grid[1]
    }

    /// Whether every item has one element a channel, and one place.
    pub fn points(&self) -> bool {
        self.size == [1, 1] && self.grid == [1, 1] && self.plane == 1
    }

    /// Where `places` find `tap`: in order, without those that lie outside.
    pub(super) fn runs(&self, places: Range<usize>, tap: [isize; 2], runs: &mut Vec<PlaceRun>) {
        runs.clear();
        let ([h, w], [down, across], step) = (self.size, self.grid, self.step);
        let mut place = places.start;
        while place < places.end {
            let (item, i, j) = (place / (down * across), place / across % down, place % across);
            let len = (across - j).min(places.end - place);
            let row = (i * step) as isize + tap[0];
            // Columns whose element is not left of the image, and those whose element is not right of it.
            let first = (-tap[1]).max(0).cast_unsigned().div_ceil(step).clamp(j, j + len);
            let last = (w as isize - tap[1]).max(0).cast_unsigned().div_ceil(step).clamp(first, j + len);
            if (0..h as isize).contains(&row) && first < last {
                let column = (first * step).wrapping_add_signed(tap[1]);
                let run = PlaceRun {
                    place: place - places.start + first - j,
                    from: item * self.item + row.cast_unsigned() * w + column,
                    len: last - first,
                };
                match runs.last_mut() {
                    Some(before) if step == 1 && before.place + before.len == run.place && before.from + before.len == run.from => {
                        before.len += run.len;
                    }
                    _ => runs.push(run),
                }
            }
            place += len;
        }
    }

    /// Copies the elements of `channel` to `to`, with zeros between the runs.
    #[inline(always)]
    pub(super) fn copy<V: Vector>(&self, channel: usize, runs: &[PlaceRun], to: &mut [f32]) {
        let covered: usize = runs.iter().map(|run| run.len).sum();
        if covered < to.len() {
            fill::<V>(to);
        }
        for run in runs {
            let to = &mut to[run.place..run.place + run.len];
            let from = &self.data[channel * self.plane + run.from..][..(run.len - 1) * self.step + 1];
            if self.step == 1 {
                copy::<V>(from, to);
            } else {
                for (i, to) in to.iter_mut().enumerate() {
                    *to = from[i * self.step];
                }
            }
        }
    }

    /// Packs rows `depth` of neighbouring panels, the columns of each as [`Image::places`] has them:
    /// `[panels, depth, columns]`. Rows are taps, and of each tap all channels.
    ///
    /// # Panics
    ///
    /// If a panel has no room for `LANES` rows more.
    #[inline(always)]
    pub(super) fn pack<V: Vector>(&self, taps: &[Tap], depth: Range<usize>, panels: &[Range<usize>], packed: &mut [f32], size: usize) {
        let width = columns::<V>();
        if self.points() && taps.len() == 1 {
            for (places, panel) in panels.iter().zip(packed.chunks_exact_mut(size)) {
                let from = &self.data[places.start * self.item + depth.start..];
                turn::<V>(from, [places.len(), self.item, depth.len()], panel, width);
            }
            return;
        }
        let mut runs: Vec<Vec<PlaceRun>> = vec![Vec::new(); panels.len()];
        let mut done = depth.start;
        while done < depth.end {
            let (tap, channel) = (done / self.channels, done % self.channels);
            let count = (self.channels - channel).min(depth.end - done);
            for (runs, places) in runs.iter_mut().zip(panels) {
                self.runs(places.clone(), taps[tap].at, runs);
            }
            // Channel by channel, since the panels' elements of a channel are neighbours.
            for i in 0..count {
                let row = (done - depth.start + i) * width;
                for (runs, panel) in runs.iter().zip(packed.chunks_exact_mut(size)) {
                    self.copy::<V>(channel + i, runs, &mut panel[row..row + width]);
                }
            }
            done += count;
        }
    }
}

/// Elements of a packed panel with `depth` rows.
#[inline(always)]
pub(super) fn panel<V: Vector>(depth: usize) -> usize {
    (depth + V::LANES) * columns::<V>()
}

#[inline(always)]
fn fill<V: Vector>(to: &mut [f32]) {
    let zero = V::splat(0.0);
    for part in to.chunks_mut(V::LANES) {
        // SAFETY: a chunk has at most `LANES` elements.
        unsafe { if part.len() == V::LANES { zero.store(part.as_mut_ptr()) } else { zero.store_first(part.as_mut_ptr(), part.len()) } }
    }
}

#[inline(always)]
fn copy<V: Vector>(from: &[f32], to: &mut [f32]) {
    for (from, to) in from.chunks(V::LANES).zip(to.chunks_mut(V::LANES)) {
        let n = from.len().min(to.len());
        // SAFETY: both chunks have `n` elements, at most `LANES`.
        unsafe {
            if n == V::LANES {
                V::load(from.as_ptr()).store(to.as_mut_ptr());
            } else {
                V::load_first(from.as_ptr(), n).store_first(to.as_mut_ptr(), n);
            }
        }
    }
}
