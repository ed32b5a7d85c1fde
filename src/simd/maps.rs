//! Convolutions of small maps: lanes are output channels, pixels are broadcast.

use super::scratch::Scratch;
use super::sink::{Form, Sink};
use super::tile::{GROUP, Lanes, Window, tile};
use super::{PlanesMut, Vector};

/// A convolution of one level of some items, without its output.
#[derive(Clone, Copy)]
pub(crate) struct MapLayer<'a> {
    /// Input elements: for each item `c` planes that are `plane` apart.
    pub x: &'a [f32],
    /// Number of items.
    pub items: usize,
    /// Distance between items.
    pub item: usize,
    /// Number of input channels.
    pub c: usize,
    /// Distance between input planes.
    pub plane: usize,
    /// Number of input columns.
    pub width: usize,
    /// Number of input rows.
    pub height: usize,
    /// Kernel side.
    pub k: usize,
    /// Weights, `[groups, c, k, k, 16]`.
    pub weight: &'a [f32],
    /// Bias, `[groups, 16]`.
    pub bias: &'a [f32],
    /// PReLU slope, `[groups, 16]`.
    pub slope: &'a [f32],
    /// Side of the pooling windows, at most 3, and their stride; `[1, 1]` without pooling.
    pub pool: [usize; 2],
}

/// Returns the number of vectors of output channels in a register tile, for `padded` channels of which
/// `first` are done.
pub(super) fn vectors<V: Vector>(padded: usize, first: usize) -> usize {
    let left = (padded - first) / V::LANES;
    match V::LANES {
        16 if padded.is_multiple_of(48) => 3,
        16 => left.min(2),
        4 if V::REGISTERS >= 32 => 4,
        _ => 2,
    }
}

/// Largest number of pixels in a register tile.
pub(super) const PIXELS: usize = 12;

/// Returns the number of pixels of a register tile with `n` vectors, for rows of `width` pixels: among the
/// sizes that [`with_tile`] supports, the one that wastes least.
pub(super) fn pixels<V: Vector>(n: usize, width: usize) -> usize {
    let known: &[usize] = match (V::LANES, n) {
        (16, 3) => &[9, 8, 6, 5, 4, 3, 2, 1],
        (16, _) => &[PIXELS, 11, 10, 9, 8, 6, 4, 3, 2, 1],
        _ => &[6, 5, 4, 3, 2, 1],
    };
    let wanted = width.div_ceil(width.div_ceil(known[0]));
    known.iter().copied().rev().find(|&p| p >= wanted && p <= width).or(known.iter().copied().find(|&p| p <= width)).unwrap_or(1)
}

/// Calls `$tile!(N, P)` with literals for `$n` vectors and `$p` pixels; the compiler drops branches that
/// cannot occur.
macro_rules! with_tile {
    ($v:ty, $n:expr, $p:expr, $tile:ident) => {
        match (<$v>::LANES, $n, $p) {
            (16, 3, 9) => $tile!(3, 9),
            (16, 3, 8) => $tile!(3, 8),
            (16, 3, 6) => $tile!(3, 6),
            (16, 3, 5) => $tile!(3, 5),
            (16, 3, 4) => $tile!(3, 4),
            (16, 3, 3) => $tile!(3, 3),
            (16, 3, 2) => $tile!(3, 2),
            (16, 3, _) => $tile!(3, 1),
            (16, 2, 12) => $tile!(2, 12),
            (16, 2, 11) => $tile!(2, 11),
            (16, 2, 10) => $tile!(2, 10),
            (16, 2, 9) => $tile!(2, 9),
            (16, 2, 8) => $tile!(2, 8),
            (16, 1, 12) => $tile!(1, 12),
            (16, 1, 11) => $tile!(1, 11),
            (16, 1, 10) => $tile!(1, 10),
            (16, 1, 9) => $tile!(1, 9),
            (16, 1, 8) => $tile!(1, 8),
            (16, 1, 6) => $tile!(1, 6),
            (16, 1, 4) => $tile!(1, 4),
            (16, 1, 3) => $tile!(1, 3),
            (16, 1, 2) => $tile!(1, 2),
            (16, 1, _) => $tile!(1, 1),
            (4, 4, 6) => $tile!(4, 6),
            (4, 4, 5) => $tile!(4, 5),
            (4, 4, 4) => $tile!(4, 4),
            (4, 4, 3) => $tile!(4, 3),
            (4, 4, 2) => $tile!(4, 2),
            (4, 4, _) => $tile!(4, 1),
            (_, _, 6) => $tile!(2, 6),
            (_, _, 5) => $tile!(2, 5),
            (_, _, 4) => $tile!(2, 4),
            (_, _, 3) => $tile!(2, 3),
            (_, _, 2) => $tile!(2, 2),
            _ => $tile!(2, 1),
        }
    };
}
pub(super) use with_tile;

/// Computes the layer directly, without Winograd's transformation, for `padded` output channels.
#[inline(always)]
pub(super) fn direct<V: Vector>(layer: MapLayer, padded: usize, y: &mut PlanesMut) {
    let (rows, width, planes) = (layer.height + 1 - layer.k, layer.width + 1 - layer.k, y.planes() / layer.items);
    let mut memory = Scratch::take();
    for item in 0..layer.items {
        let (layer, mut y) = (MapLayer { x: &layer.x[item * layer.item..], ..layer }, y.part(item * planes, planes));
        let mut first = 0;
        while first < planes {
            let n = vectors::<V>(padded, first);
            let form = Form { lanes: n * V::LANES, width, rows, pool: layer.pool, ahead: 1 };
            block::<V>(layer, Sink::new(form, memory.parts(form.lengths()), &mut y, first), n);
            first += form.lanes;
        }
    }
}

/// Computes the channels of `sink`, which are `n` vectors.
#[inline(always)]
fn block<V: Vector>(layer: MapLayer, mut sink: Sink, n: usize) {
    let MapLayer { c, plane, width, k, .. } = layer;
    let window = Window { c, plane, rows: k, width, columns: k };
    let (form, first) = (sink.form, sink.first);
    let p = pixels::<V>(n, form.width);
    for row in 0..form.rows {
        let mut column = 0;
        while column < form.width {
            // The last tile of a row is moved left until it fits.
            let at = column.min(form.width - p);
            let to = sink.row(row)[at * form.lanes..].as_mut_ptr();
            macro_rules! call {
                ($n:literal, $p:literal) => {{
                    let place = |i: usize| ((first + i * V::LANES) / GROUP * c * k * k) * GROUP + (first + i * V::LANES) % GROUP;
                    // SAFETY: `run` checked x, weights, bias and slope; the row of the sink has
                    // `width * lanes` elements.
                    unsafe {
                        let weight = Lanes { first: layer.weight.as_ptr(), offsets: std::array::from_fn(place), stride: GROUP };
                        let end = Some([layer.bias.as_ptr().add(first), layer.slope.as_ptr().add(first)]);
                        tile::<V, $n, $p>(window, layer.x.as_ptr().add(row * width + at), 1, weight, end, to);
                    }
                }};
            }
            with_tile!(V, n, p, call);
            column = at + p;
        }
        sink.advance::<V>(row + 1);
    }
}
