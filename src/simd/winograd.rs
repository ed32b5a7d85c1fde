//! Convolutions by Winograd's minimal filtering: `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for tiles `d` of inputs and
//! `m x m` outputs each.
//!
//! For each place of a transformed tile, the products over all input channels form one small matrix product,
//! whose rows are the tiles of one or several items.

use super::filtering::{Filtering, Minimal};
use super::maps::{MapLayer, pixels, vectors, with_tile};
use super::scratch::Scratch;
use super::sink::{Form, Sink};
use super::tile::{GROUP, Lanes, Window, tile};
use super::vector::turn;
use super::{PlanesMut, Task, Vector};

/// Approximate number of tiles that pass through all steps together.
const TILES: usize = 48;
/// Elements between places that are not needed, so that places do not compete for the same lines of a cache.
const GAP: usize = 16;

/// Sizes of a minimal filtering in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FilterSizes {
    /// Kernel side.
    k: usize,
    /// Side of the outputs of a tile.
    m: usize,
}

impl FilterSizes {
    /// Returns the sizes with which a `k x k` convolution of `c` to `out` channels with a result of
    /// `height x width` takes the fewest products, if these are few enough to pay for the transformations.
    pub fn of(k: usize, c: usize, out: usize, [height, width]: [usize; 2]) -> Option<Self> {
        let known: &[usize] = match k {
            2 => &[3],
            3 => &[2, 3, 4],
            _ => &[],
        };
        let products = |m: usize| height.div_ceil(m) * width.div_ceil(m) * (m + k - 1).pow(2);
        let m = known.iter().copied().min_by_key(|&m| products(m))?;
        let pays = c >= 8 && out >= GROUP && 3 * products(m) <= 2 * height * width * k * k;
        pays.then_some(Self { k, m })
    }

    /// Returns how many times as large rounding errors may become as those of the sum over all taps: the
    /// largest row sum of `|Aᵀ| (|G| 1 ⊙ |Bᵀ| 1)` in both directions, over the number of taps.
    pub fn growth(self) -> f32 {
        let line: f32 = match (self.k, self.m) {
            (2, _) => 6.0,
            (_, 2) => 8.0,
            (_, 3) => 13.6,
            _ => 22.0,
        };
        line * line / (self.k * self.k) as f32
    }

    /// Returns the side of a tile of inputs.
    fn side(self) -> usize {
        self.m + self.k - 1
    }

    /// Returns the number of places of a transformed tile.
    fn places(self) -> usize {
        self.side() * self.side()
    }
}

/// Weights that [`Transform`] has transformed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transformed<'a> {
    /// `[groups, places, c, 16]`.
    pub data: &'a [f32],
    /// Sizes of the filtering.
    pub sizes: FilterSizes,
}

/// Transforms weights: returns `G g Gᵀ`, `[groups, places, c, 16]`.
pub(crate) struct Transform<'a> {
    /// Number of input channels.
    pub c: usize,
    /// Number of output channels, in whole groups.
    pub padded: usize,
    /// Sizes of the filtering.
    pub sizes: FilterSizes,
    /// Weights, `[groups, c, k, k, 16]`.
    pub weight: &'a [f32],
}

/// Calls `$call!(K, M, T)` with literals for the sizes of `$sizes`.
macro_rules! with_sizes {
    ($sizes:expr, $call:ident) => {
        match $sizes {
            FilterSizes { k: 2, .. } => $call!(2, 3, 4),
            FilterSizes { m: 2, .. } => $call!(3, 2, 4),
            FilterSizes { m: 3, .. } => $call!(3, 3, 5),
            _ => $call!(3, 4, 6),
        }
    };
}

impl Task for Transform<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<V: Vector>(self) -> Vec<f32> {
        let Self { c, padded, sizes, weight } = self;
        let taps = sizes.k * sizes.k;
        assert!(weight.len() >= padded * c * taps && padded.is_multiple_of(GROUP), "weights are whole");
        let mut data = vec![0.0; padded * c * sizes.places()];
        for (group, to) in data.chunks_exact_mut(GROUP * c * sizes.places()).enumerate() {
            for (channel, lane) in (0..c).flat_map(|channel| (0..GROUP).step_by(V::LANES).map(move |lane| (channel, lane))) {
                let from = weight[(group * c + channel) * taps * GROUP + lane..].as_ptr();
                let to = to[channel * GROUP + lane..].as_mut_ptr();
                macro_rules! call {
                    ($k:literal, $m:literal, $t:literal) => {
                        // SAFETY: reads lie within the weights of this channel, writes within the group's
                        // places, which are `c * GROUP` apart.
                        unsafe { filter::<V, $k, $m, $t>(from, to, c * GROUP) }
                    };
                }
                with_sizes!(sizes, call);
            }
        }
        data
    }
}

/// Returns the rows of a square of columns.
#[inline(always)]
fn rows<V: Vector, const ROWS: usize, const COLUMNS: usize>(columns: &[[V; ROWS]; COLUMNS]) -> [[V; COLUMNS]; ROWS] {
    let mut rows = [[V::splat(0.0); COLUMNS]; ROWS];
    for (u, row) in rows.iter_mut().enumerate() {
        for (value, column) in row.iter_mut().zip(columns) {
            *value = column[u];
        }
    }
    rows
}

/// Computes `G g Gᵀ` of the `K x K` vectors at `from`, into places `step` apart.
///
/// # Safety
///
/// `K * K` vectors `GROUP` apart must be readable, and `T * T` vectors `step` apart writable.
#[inline(always)]
unsafe fn filter<V: Vector, const K: usize, const M: usize, const T: usize>(from: *const f32, to: *mut f32, step: usize)
where
    Minimal: Filtering<K, M, T>,
{
    // SAFETY: by contract.
    unsafe {
        let mut columns = [[V::splat(0.0); T]; K];
        for (v, column) in columns.iter_mut().enumerate() {
            let mut taps = [V::splat(0.0); K];
            for (u, tap) in taps.iter_mut().enumerate() {
                *tap = V::load(from.add((u * K + v) * GROUP));
            }
            *column = Minimal::filter(taps);
        }
        for (u, row) in rows(&columns).into_iter().enumerate() {
            for (v, value) in Minimal::filter(row).iter().enumerate() {
                value.store(to.add((u * T + v) * step));
            }
        }
    }
}

/// Computes `Bᵀ d B` of the tile at `from`, with pixels `right` and `down` apart, into places `step` apart.
/// Only its first `inside` rows and columns exist; the others are zero.
///
/// # Safety
///
/// The vectors that exist must be readable, and `T * T` vectors `step` apart writable.
#[inline(always)]
unsafe fn input<V: Vector, const K: usize, const M: usize, const T: usize>(
    from: *const f32,
    [right, down]: [usize; 2],
    inside: [usize; 2],
    to: *mut f32,
    step: usize,
) where
    Minimal: Filtering<K, M, T>,
{
    let whole = inside[0] >= T && inside[1] >= T;
    // SAFETY: by contract.
    unsafe {
        let mut columns = [[V::splat(0.0); T]; T];
        for (v, column) in columns.iter_mut().enumerate() {
            let mut pixels = [V::splat(0.0); T];
            for (u, pixel) in pixels.iter_mut().enumerate() {
                if whole || u < inside[0] && v < inside[1] {
                    *pixel = V::load(from.add(u * down + v * right));
                }
            }
            *column = Minimal::input(pixels);
        }
        for (u, row) in rows(&columns).into_iter().enumerate() {
            for (v, value) in Minimal::input(row).iter().enumerate() {
                value.store(to.add((u * T + v) * step));
            }
        }
    }
}

/// Returns `Aᵀ m A` of places `step` apart, starting at `from`.
///
/// # Safety
///
/// `T * T` vectors must be readable.
#[inline(always)]
unsafe fn output<V: Vector, const K: usize, const M: usize, const T: usize>(from: *const f32, step: usize) -> [[V; M]; M]
where
    Minimal: Filtering<K, M, T>,
{
    let mut columns = [[V::splat(0.0); M]; T];
    for (v, column) in columns.iter_mut().enumerate() {
        let mut places = [V::splat(0.0); T];
        for (u, place) in places.iter_mut().enumerate() {
            // SAFETY: by contract.
            *place = unsafe { V::load(from.add((u * T + v) * step)) };
        }
        *column = Minimal::output(places);
    }
    let mut square = [[V::splat(0.0); M]; M];
    for (square, row) in square.iter_mut().zip(rows(&columns)) {
        *square = Minimal::output(row);
    }
    square
}

/// Elements of all places of some tiles; those of a place come `gap` elements after those of the last.
struct Places<T> {
    data: T,
    gap: usize,
}

/// The computation of maps in three steps.
pub(super) struct Winograd<'a> {
    layer: MapLayer<'a>,
    weight: Transformed<'a>,
    /// Numbers of columns and rows of the result.
    out: [usize; 2],
    /// Numbers of tiles across and down.
    tiles: [usize; 2],
}

impl<'a> Winograd<'a> {
    /// Prepares a layer with `planes` output channels.
    pub fn new(layer: MapLayer<'a>, weight: Transformed<'a>, planes: usize) -> Self {
        let FilterSizes { k, m } = weight.sizes;
        let whole = planes.next_multiple_of(GROUP) * layer.c * weight.sizes.places() <= weight.data.len();
        assert!(layer.k == k && whole, "weights of this layer");
        let out = [layer.width, layer.height].map(|side| side + 1 - k);
        Self { layer, weight, out, tiles: out.map(|side| side.div_ceil(m)) }
    }

    /// Returns the number of input channels in whole vectors.
    fn step<V: Vector>(&self) -> usize {
        self.layer.c.next_multiple_of(V::LANES)
    }

    #[inline(always)]
    pub fn run<V: Vector>(&self, y: &mut PlanesMut) {
        let MapLayer { x, items, item, c, plane, width, height, pool, .. } = self.layer;
        let ([across, down], step, FilterSizes { m, .. }) = (self.tiles, self.step::<V>(), self.weight.sizes);
        let (planes, each) = (y.planes() / items, across * down);
        let padded = planes.next_multiple_of(GROUP);
        // Several small items, or some rows of tiles of a large one.
        let together = (TILES / each).clamp(1, items);
        let chunk = if together > 1 { down } else { down.div_ceil(each.div_ceil(TILES)) };
        let form = |lanes| Form { lanes, width: self.out[0], rows: self.out[1], pool, ahead: m * chunk };
        let (most, places) = (V::LANES * 4, self.weight.sizes.places());
        let [ring, pixels] = form(most).lengths();
        let (tiles_gap, products_gap) = (together * each * step + GAP, together * across * chunk * most + GAP);
        let lengths = [(width * height + V::LANES) * step, places * tiles_gap, places * products_gap, ring, pixels];
        let mut memory = Scratch::take();
        let [turned, tiles, products, ring, pixels] = memory.parts(lengths);
        let (mut tiles, mut products) = (Places { data: tiles, gap: tiles_gap }, Places { data: products, gap: products_gap });
        for start in (0..items).step_by(together) {
            let group = together.min(items - start);
            for i in 0..group {
                turn::<V>(&x[(start + i) * item..], [c, plane, width * height], turned, step);
                self.inputs::<V>(turned, &mut tiles, i * each);
            }
            let mut first = 0;
            while first < planes {
                let n = vectors::<V>(padded, first);
                if together > 1 {
                    self.products::<V>(&tiles, [0, group * each], &mut products, [first, n]);
                }
                for i in 0..group {
                    let mut y = y.part((start + i) * planes, planes);
                    let mut sink = Sink::new(form(n * V::LANES), [&mut *ring, &mut *pixels], &mut y, first);
                    for row in (0..down).step_by(chunk) {
                        let end = (row + chunk).min(down);
                        if together == 1 {
                            self.products::<V>(&tiles, [row * across, end * across], &mut products, [first, n]);
                        }
                        for tile_row in row..end {
                            self.outputs::<V>(&products, i * each + (tile_row - row) * across, tile_row, &mut sink);
                        }
                        sink.advance::<V>((m * end).min(self.out[1]));
                    }
                }
                first += n * V::LANES;
            }
        }
    }

    /// Computes `Bᵀ d B` of every tile of an item, which becomes tile `first` and those after it, into
    /// `[tiles, step]` for each place.
    #[inline(always)]
    fn inputs<V: Vector>(&self, turned: &[f32], tiles: &mut Places<&mut [f32]>, first: usize) {
        let (MapLayer { width, height, .. }, [across, down], step) = (self.layer, self.tiles, self.step::<V>());
        let (FilterSizes { m, .. }, places) = (self.weight.sizes, self.weight.sizes.places());
        let last = (places - 1) * tiles.gap + (first + across * down) * step;
        assert!(turned.len() >= width * height * step && tiles.data.len() >= last, "room for all tiles");
        for (row, column) in (0..down).flat_map(|row| (0..across).map(move |column| (row, column))) {
            let (from, to) = ((row * width + column) * m * step, (first + row * across + column) * step);
            let inside = [height - row * m, width - column * m];
            for lane in (0..step).step_by(V::LANES) {
                macro_rules! call {
                    ($k:literal, $m:literal, $t:literal) => {
                        // SAFETY: `turned` holds every pixel of the map, `tiles` every place of this tile.
                        unsafe {
                            let (from, to) = (turned.as_ptr().add(from + lane), tiles.data.as_mut_ptr().add(to + lane));
                            input::<V, $k, $m, $t>(from, [step, width * step], inside, to, tiles.gap);
                        }
                    };
                }
                with_sizes!(self.weight.sizes, call);
            }
        }
    }

    /// For each place, multiplies tiles `from .. to` by the weights of `n` vectors of channels starting at
    /// `first`, into `[tiles, lanes]`.
    #[inline(always)]
    fn products<V: Vector>(
        &self,
        tiles: &Places<&mut [f32]>,
        [from, to]: [usize; 2],
        products: &mut Places<&mut [f32]>,
        [first, n]: [usize; 2],
    ) {
        let (c, step, lanes, places) = (self.layer.c, self.step::<V>(), n * V::LANES, self.weight.sizes.places());
        let p = pixels::<V>(n, to - from);
        assert!(tiles.data.len() >= (places - 1) * tiles.gap + to * step, "tiles are whole");
        assert!(products.data.len() >= (places - 1) * products.gap + (to - from) * lanes, "room for all products");
        assert!(self.weight.data.len() >= (first + lanes).next_multiple_of(GROUP) * c * places, "weights of the block");
        let window = Window { c: 1, plane: 0, rows: 1, width: 0, columns: c };
        for place in 0..places {
            let mut done = from;
            while done < to {
                let at = done.min(to - p);
                macro_rules! call {
                    ($n:literal, $p:literal) => {{
                        let offset = |i: usize| ((first + i * V::LANES) / GROUP * places * c) * GROUP + (first + i * V::LANES) % GROUP;
                        // SAFETY: `p` is at most `to - from`, so tiles, weights and products of
                        // `at .. at + p` were checked above.
                        unsafe {
                            let weight = self.weight.data.as_ptr().add(place * c * GROUP);
                            let weight = Lanes { first: weight, offsets: std::array::from_fn(offset), stride: GROUP };
                            let to = products.data.as_mut_ptr().add(place * products.gap + (at - from) * lanes);
                            let from = tiles.data.as_ptr().add(place * tiles.gap + at * step);
                            tile::<V, $n, $p>(window, from, step, weight, None, to);
                        }
                    }};
                }
                with_tile!(V, n, p, call);
                done = at + p;
            }
        }
    }

    /// Computes `Aᵀ m A` of a row of tiles, which starts at tile `first` of `products`, with bias and PReLU.
    #[inline(always)]
    fn outputs<V: Vector>(&self, products: &Places<&mut [f32]>, first: usize, row: usize, sink: &mut Sink) {
        let (lanes, [width, height], places) = (sink.form.lanes, self.out, self.weight.sizes.places());
        let last = (places - 1) * products.gap + (first + self.tiles[0]) * lanes;
        assert!(products.data.len() >= last, "products of the row");
        macro_rules! call {
            ($k:literal, $m:literal, $t:literal) => {{
                let kept = (height - row * $m).min($m);
                let mut lines = [std::ptr::null_mut(); $m];
                for (i, line) in lines.iter_mut().enumerate().take(kept) {
                    *line = sink.row(row * $m + i).as_mut_ptr();
                }
                for lane in (0..lanes).step_by(V::LANES) {
                    let o = sink.first + lane;
                    // SAFETY: `ConvMap::run` checked bias and slope; tiles of the row are products; each
                    // pixel written is inside its row.
                    unsafe {
                        let (bias, slope) = (V::load(self.layer.bias.as_ptr().add(o)), V::load(self.layer.slope.as_ptr().add(o)));
                        for tile in 0..self.tiles[0] {
                            let square = output::<V, $k, $m, $t>(products.data.as_ptr().add((first + tile) * lanes + lane), products.gap);
                            for (line, values) in lines.iter().zip(&square).take(kept) {
                                for (j, value) in values.iter().enumerate().take(width - tile * $m) {
                                    value.add(bias).prelu(slope).store(line.add((tile * $m + j) * lanes + lane));
                                }
                            }
                        }
                    }
                }
            }};
        }
        with_sizes!(self.weight.sizes, call);
    }
}
