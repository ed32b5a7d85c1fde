//! How a product is divided, and what its factors and its target start as.

use std::ops::Range;

use super::super::Vector;

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

/// What follows when a product is whole: a PReLU with one slope a row, whose results are at most `most`.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a> {
    /// Slopes, from the first row on.
    pub slopes: &'a [f32],
    /// Largest result.
    pub most: f32,
}

/// PReLU of every lane, at most `most`.
#[inline(always)]
pub(in super::super) fn activated<V: Vector>(value: V, slope: V, most: V) -> V {
    let value = value.prelu(slope);
    value.where_above(most, most, value)
}

/// How a product is divided.
pub(super) struct ProductPlan {
    /// Whether tiles read the left factor where it is.
    pub in_place: bool,
    /// Channels times taps.
    pub all: usize,
    /// Depth of a block; the last may be less deep.
    pub depth: usize,
    /// Rows of the left factor.
    pub all_rows: usize,
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a panel.
    pub columns: usize,
    /// Elements of a packed panel.
    pub panel: usize,
    /// Panels of all places.
    pub panels: usize,
    /// Places.
    pub all_places: usize,
    pub column_blocks: usize,
    pub row_blocks: usize,
}

impl ProductPlan {
    /// Elements of the packed left factor.
    pub(super) fn left(&self) -> usize {
        self.all_rows.next_multiple_of(self.rows) * self.all
    }

    /// Elements of the packed right factor.
    pub(super) fn right(&self) -> usize {
        self.all.div_ceil(self.depth) * self.panels * self.panel
    }

    pub fn depths(&self, block: usize) -> Range<usize> {
        block * self.depth..((block + 1) * self.depth).min(self.all)
    }

    pub fn places(&self, panel: usize) -> Range<usize> {
        panel * self.columns..((panel + 1) * self.columns).min(self.all_places)
    }
}
