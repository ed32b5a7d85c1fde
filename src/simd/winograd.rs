//! Winograd's minimal filtering F(2x2, 3x3): four outputs for 16 products instead of 36 (Lavin and Gray 2015, section 4.1).
//!
//! `Y = Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for tiles `d` of 4 x 4 inputs and 2 x 2 outputs; the products over all input channels are one small
//! matrix product for each of the 16 places of the transformed tile.

use super::maps::{MapLayer, pixels, vectors, with_tile};
use super::scratch::Scratch;
use super::sink::{Form, Sink};
use super::tile::{GROUP, Lanes, Window, tile};
use super::vector::turn;
use super::{PlanesMut, Task, Vector};

/// Places of a transformed tile.
const PLACES: usize = 16;
/// Elements from one tile's channels to the next's, and so the most input channels there can be.
const STEP: usize = 64;
/// Tiles that go through all steps together, about.
const TILES: usize = 32;

/// Weights `G g Gᵀ`: `[blocks, 16, c, lanes]`.
pub(crate) struct Transformed {
    data: Vec<f32>,
    c: usize,
}

/// Weights to be transformed.
pub(crate) struct Transform<'a> {
    /// Input channels.
    pub c: usize,
    /// Output channels, whole groups.
    pub padded: usize,
    /// `[groups, c, 3, 3, 16]`.
    pub weight: &'a [f32],
}

impl Transform<'_> {
    /// Whether it pays for a `k x k` convolution of `c` to `out` channels and a result of `height x width`.
    pub fn pays(k: usize, c: usize, out: usize, [height, width]: [usize; 2]) -> bool {
        k == 3 && (16..=STEP).contains(&c) && out >= 32 && height.min(width) >= 4
    }
}

impl Task for Transform<'_> {
    type Output = Transformed;

    #[inline(always)]
    fn run<V: Vector>(self) -> Transformed {
        let (c, padded) = (self.c, self.padded);
        assert!(self.weight.len() >= padded * c * 9 && c <= STEP && padded % GROUP == 0, "weights are whole");
        let mut data = vec![0.0; padded * c * PLACES + GROUP];
        let mut first = 0;
        while first < padded {
            let lanes = vectors::<V>(padded, first) * V::LANES;
            for channel in 0..c {
                for lane in (0..lanes).step_by(V::LANES) {
                    let o = first + lane;
                    let from = (o / GROUP * c + channel) * 9 * GROUP + o % GROUP;
                    // SAFETY: inside the weights, and inside the block of `lanes * c * 16` elements at `first * c * 16`.
                    unsafe {
                        let to = data.as_mut_ptr().add(first * c * PLACES + channel * lanes + lane);
                        filter::<V>(self.weight.as_ptr().add(from), to, c * lanes);
                    }
                }
            }
            first += lanes;
        }
        Transformed { data, c }
    }
}

/// One column of `G g`.
#[inline(always)]
fn filter_line<V: Vector>(g: [V; 3]) -> [V; 4] {
    let (zero, half, sum) = (V::splat(0.0), V::splat(0.5), g[0].add(g[2]));
    [g[0], sum.add(g[1]).mul_add(half, zero), sum.sub(g[1]).mul_add(half, zero), g[2]]
}

/// One column of `Bᵀ d`.
#[inline(always)]
fn input_line<V: Vector>(d: [V; 4]) -> [V; 4] {
    [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[1].sub(d[3])]
}

/// One column of `Aᵀ m`.
#[inline(always)]
fn output_line<V: Vector>(m: [V; 4]) -> [V; 2] {
    [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).sub(m[3])]
}

/// `G g Gᵀ` of the 3 x 3 vectors at `from`, to 16 places `step` apart.
///
/// # Safety
///
/// Nine vectors `GROUP` apart can be read, 16 vectors `step` apart written.
#[inline(always)]
unsafe fn filter<V: Vector>(from: *const f32, to: *mut f32, step: usize) {
    // SAFETY: by contract.
    unsafe {
        let mut columns = [[V::splat(0.0); 4]; 3];
        for (v, column) in columns.iter_mut().enumerate() {
            let from = from.add(v * GROUP);
            *column = filter_line([V::load(from), V::load(from.add(3 * GROUP)), V::load(from.add(6 * GROUP))]);
        }
        let [a, b, c] = columns;
        let rows = [[a[0], b[0], c[0]], [a[1], b[1], c[1]], [a[2], b[2], c[2]], [a[3], b[3], c[3]]];
        for (u, row) in rows.into_iter().enumerate() {
            for (v, value) in filter_line(row).iter().enumerate() {
                value.store(to.add((u * 4 + v) * step));
            }
        }
    }
}

/// `Bᵀ d B` of the 4 x 4 vectors at `from`, `right` and `down` apart, to 16 places `step` apart.
///
/// # Safety
///
/// The 16 vectors can be read, the others written.
#[inline(always)]
unsafe fn input<V: Vector>(from: *const f32, [right, down]: [usize; 2], to: *mut f32, step: usize) {
    // SAFETY: by contract.
    unsafe {
        let mut columns = [[V::splat(0.0); 4]; 4];
        for (v, column) in columns.iter_mut().enumerate() {
            let from = from.add(v * right);
            *column = input_line([V::load(from), V::load(from.add(down)), V::load(from.add(2 * down)), V::load(from.add(3 * down))]);
        }
        let [a, b, c, d] = columns;
        let rows = [[a[0], b[0], c[0], d[0]], [a[1], b[1], c[1], d[1]], [a[2], b[2], c[2], d[2]], [a[3], b[3], c[3], d[3]]];
        for (u, row) in rows.into_iter().enumerate() {
            for (v, value) in input_line(row).iter().enumerate() {
                value.store(to.add((u * 4 + v) * step));
            }
        }
    }
}

/// `Aᵀ m A` of 16 places `step` apart from `from` on.
///
/// # Safety
///
/// The 16 vectors can be read.
#[inline(always)]
unsafe fn output<V: Vector>(from: *const f32, step: usize) -> [[V; 2]; 2] {
    // SAFETY: by contract.
    unsafe {
        let mut columns = [[V::splat(0.0); 2]; 4];
        for (v, column) in columns.iter_mut().enumerate() {
            let from = from.add(v * step);
            *column = output_line([V::load(from), V::load(from.add(4 * step)), V::load(from.add(8 * step)), V::load(from.add(12 * step))]);
        }
        let [a, b, c, d] = columns;
        [output_line([a[0], b[0], c[0], d[0]]), output_line([a[1], b[1], c[1], d[1]])]
    }
}

/// One map on its way through the three steps.
pub(super) struct Winograd<'a> {
    layer: MapLayer<'a>,
    weight: &'a Transformed,
    /// Columns and rows of the result.
    out: [usize; 2],
    /// Tiles across and down.
    tiles: [usize; 2],
}

impl<'a> Winograd<'a> {
    /// The layer over its input, which [`Transform::pays`] for.
    pub fn new(layer: MapLayer<'a>, weight: &'a Transformed, planes: usize) -> Self {
        let out = [layer.width - 2, layer.height - 2];
        let whole = planes.next_multiple_of(GROUP) * layer.c * PLACES <= weight.data.len();
        assert!(layer.k == 3 && layer.c <= STEP && weight.c == layer.c && whole, "weights of this layer");
        Self { layer, weight, out, tiles: out.map(|size| size.div_ceil(2)) }
    }

    /// Input channels in whole vectors.
    fn padded<V: Vector>(&self) -> usize {
        self.layer.c.next_multiple_of(V::LANES)
    }

    #[inline(always)]
    pub fn run<V: Vector>(&self, y: &mut PlanesMut) {
        let [across, down] = self.tiles;
        let padded = y.planes().next_multiple_of(GROUP);
        let chunk = down.div_ceil((across * down).div_ceil(TILES));
        let form = |lanes| Form { lanes, width: self.out[0], rows: self.out[1], pool: self.layer.pool, ahead: 2 * chunk };
        let most = V::LANES * 4;
        let [ring, pixels] = form(most).lengths();
        // Tiles at the far edges reach two rows and columns further; what they find there reaches no result.
        let turned = (self.layer.width * (2 * down + 3) + V::LANES) * self.padded::<V>();
        let lengths = [turned, PLACES * across * down * STEP, PLACES * across * chunk * most, ring, pixels];
        let mut memory = Scratch::take();
        let [turned, tiles, products, ring, pixels] = memory.parts(lengths);
        let MapLayer { x, c, plane, width, height, .. } = self.layer;
        turn::<V>(x, [c, plane, width * height], turned, self.padded::<V>());
        self.inputs::<V>(turned, tiles);
        let mut first = 0;
        while first < y.planes() {
            let n = vectors::<V>(padded, first);
            let mut sink = Sink::new(form(n * V::LANES), [&mut *ring, &mut *pixels], y, first);
            for row in (0..down).step_by(chunk) {
                let end = (row + chunk).min(down);
                self.products::<V>(tiles, [row * across, end * across], products, first, n);
                for tile_row in row..end {
                    self.outputs::<V>(products, (tile_row - row) * across, (end - row) * across, tile_row, &mut sink);
                }
                sink.advance::<V>((2 * end).min(self.out[1]));
            }
            first += n * V::LANES;
        }
    }

    /// `Bᵀ d B` of every tile, to `[16, tiles, STEP]`.
    #[inline(always)]
    fn inputs<V: Vector>(&self, turned: &[f32], tiles: &mut [f32]) {
        let ([across, down], step) = (self.tiles, self.padded::<V>());
        let place = across * down * STEP;
        assert!(turned.len() >= (self.layer.width * (2 * down + 2) + 2) * step && tiles.len() >= PLACES * place, "room for all tiles");
        for tile in 0..across * down {
            let pixel = tile / across * 2 * self.layer.width + tile % across * 2;
            for lane in (0..step).step_by(V::LANES) {
                // SAFETY: the tile's pixels are no further than two rows and columns behind the last; a tile has STEP elements a place.
                unsafe {
                    let from = turned.as_ptr().add(pixel * step + lane);
                    input::<V>(from, [step, self.layer.width * step], tiles.as_mut_ptr().add(tile * STEP + lane), place);
                }
            }
        }
    }

    /// For each place, tiles `from .. to` times the weights of `n` vectors of channels from `first` on, to `[16, tiles, lanes]`.
    #[inline(always)]
    fn products<V: Vector>(&self, tiles: &[f32], [from, to]: [usize; 2], products: &mut [f32], first: usize, n: usize) {
        let (c, lanes, all) = (self.layer.c, n * V::LANES, self.tiles[0] * self.tiles[1]);
        let p = pixels::<V>(n, to - from);
        assert!(tiles.len() >= PLACES * all * STEP && products.len() >= PLACES * (to - from) * lanes && to <= all, "room for all tiles");
        assert!(self.weight.data.len() >= (first + lanes) * c * PLACES, "weights of the block");
        let window = Window { c, plane: 1, rows: 1, width: 0, columns: 1 };
        for place in 0..PLACES {
            let mut done = from;
            while done < to {
                let at = done.min(to - p);
                macro_rules! call {
                    ($n:literal, $p:literal) => {
                        // SAFETY: `p` is at most `to - from`, so tiles, weights and products of `at .. at + p` were checked above.
                        unsafe {
                            let weight = self.weight.data.as_ptr().add((first * PLACES + place * lanes) * c);
                            let weight = Lanes { first: weight, offsets: std::array::from_fn(|i| i * V::LANES), stride: lanes };
                            let to = products.as_mut_ptr().add((place * (to - from) + at - from) * lanes);
                            tile::<V, $n, $p>(window, tiles.as_ptr().add((place * all + at) * STEP), STEP, weight, None, to);
                        }
                    };
                }
                with_tile!(V, n, p, call);
                done = at + p;
            }
        }
    }

    /// `Aᵀ m A` of a row of tiles, of which the first is tile `first` of `all` in `products`, with bias and PReLU.
    #[inline(always)]
    fn outputs<V: Vector>(&self, products: &[f32], first: usize, all: usize, row: usize, sink: &mut Sink) {
        let (lanes, [width, rows]) = (sink.form.lanes, self.out);
        assert!(products.len() >= PLACES * all * lanes && first + self.tiles[0] <= all, "products of the row");
        let upper = sink.row(2 * row).as_mut_ptr();
        let lower = if 2 * row + 1 < rows { Some(sink.row(2 * row + 1).as_mut_ptr()) } else { None };
        for lane in (0..lanes).step_by(V::LANES) {
            let o = sink.first + lane;
            // SAFETY: `ConvMap::run` checked bias and slope; tiles of the row are products; each pixel written is inside its row.
            unsafe {
                let (bias, slope) = (V::load(self.layer.bias.as_ptr().add(o)), V::load(self.layer.slope.as_ptr().add(o)));
                for tile in 0..self.tiles[0] {
                    let quad = output::<V>(products.as_ptr().add((first + tile) * lanes + lane), all * lanes);
                    let at = 2 * tile * lanes + lane;
                    let both = 2 * tile + 1 < width;
                    quad[0][0].add(bias).prelu(slope).store(upper.add(at));
                    if both {
                        quad[0][1].add(bias).prelu(slope).store(upper.add(at + lanes));
                    }
                    if let Some(lower) = lower {
                        quad[1][0].add(bias).prelu(slope).store(lower.add(at));
                        if both {
                            quad[1][1].add(bias).prelu(slope).store(lower.add(at + lanes));
                        }
                    }
                }
            }
        }
    }
}
