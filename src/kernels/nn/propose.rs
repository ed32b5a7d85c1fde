//! The last layers of P-Net, fused with the test of its cells against the threshold.

use rayon::prelude::*;

use super::convolve::{Convolve, ROWS};
use super::{Conv, Level};
use crate::kernels::probability::{PROBABILITY_TOLERANCE, face_probability};
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::simd::PlanesMut;
use crate::tensor::{Extent, Shape, ShapeError, Tensor, noise};

crate::uniform! {
    /// 3 x 3 convolution to 32 channels, PReLU, 1 x 1 heads with six outputs, and softmax over the first two
    /// (spec sections 2.1, 3.3).
    ///
    /// Reads `x: [images, c, levels]`, `parameters` packed by [`Propose::pack`] and the level table; writes
    /// `heads: [images, 5, cells]`, the face probability and four box offsets, and
    /// `counts: [images, blocks]`, the number of cells that reach `threshold`, with the top bit set if a
    /// probability is NaN.
    pub struct Propose { images: u32, c: u32, x_plane: u32, cells: u32, levels: u32, tiles: u32, blocks: u32, threshold: f32 }
}

const HIDDEN: u32 = 32;
/// Approximate number of cells in a band, which is one task on a CPU.
const CELLS: u32 = 1024;

impl Propose {
    /// Adjacent cells computed by one invocation.
    pub const TILE: Extent = Extent { h: 1, w: 6 };
    /// Number of tiles in a block.
    pub const BLOCK: u32 = 64;
    /// Number of outputs per cell: a probability and four offsets.
    pub const OUTPUTS: u32 = 5;
    /// Largest number of input channels.
    const MOST: u32 = 16;
    /// Number of elements of the parameters.
    const PARAMETERS: usize = 5200;

    /// Creates the kernel for `x` of at most 16 channels. Returns the kernel, its level table and the extents
    /// of its cells.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a level is smaller than the convolution.
    ///
    /// # Panics
    ///
    /// Panics if `x` has more than 16 channels.
    pub fn new(x: &Shape, threshold: f32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        assert!(x.c() <= Self::MOST, "{} channels", x.c());
        let (_, _, y) = Conv::new(x, Self::OUTPUTS, 3)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), Self::TILE);
        let (levels, blocks) = (x.levels().len() as u32, tiles.div_ceil(Self::BLOCK));
        let kernel = Self { images: x.n(), c: x.c(), x_plane: x.plane(), cells: y.plane(), levels, tiles, blocks, threshold };
        Ok((kernel, table, y))
    }

    /// Returns the number of blocks per image.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Concatenates weights `[32, c, 3, 3]`, bias and slope of the convolution, and weights `[6, 32]` and
    /// bias of the heads, each packed as for [`Conv`].
    pub fn pack(weight: &Tensor, bias: &[f32], slope: &[f32], heads: &Tensor, heads_bias: &[f32]) -> Vec<f32> {
        let mut parameters = [Conv::pack(weight), Conv::pad(bias), Conv::pad(slope), Conv::pack(heads), Conv::pad(heads_bias)].concat();
        parameters.resize(Self::PARAMETERS, 0.0);
        parameters
    }

    /// Splits the parameters into weight, bias and slope, and weight and bias of the heads.
    fn split<'a>(&self, parameters: &'a [f32]) -> [&'a [f32]; 5] {
        let (weight, rest) = parameters.split_at((HIDDEN * self.c * 9) as usize);
        let (bias, rest) = rest.split_at(HIDDEN as usize);
        let (slope, rest) = rest.split_at(HIDDEN as usize);
        let (heads, rest) = rest.split_at(HIDDEN as usize * 16);
        [weight, bias, slope, heads, &rest[..16]]
    }

    /// Computes the two convolutions with [`Conv`], then the probabilities and the counts.
    fn by_conv(&self, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let levels = &Level::list(read[2])[..self.levels as usize];
        let extents: Vec<Extent> = levels.iter().map(|level| Extent { h: level.x_h, w: level.x_w }).collect();
        let both = || {
            let x = Shape::ragged(self.images, self.c, extents.clone())?;
            let (conv, table, hidden) = Conv::new(&x, HIDDEN, 3)?;
            let (heads, heads_table, y) = Conv::new(&hidden, 6, 1)?;
            Ok::<_, ShapeError>((conv, words(table), hidden, heads, words(heads_table), y))
        };
        let Ok((conv, table, shape, heads, heads_table, y)) = both() else { return };
        let [weight, bias, slope, heads_weight, heads_bias] = self.split(read[1]);
        let (mut hidden, mut logits) = (vec![0.0; shape.elements() as usize], vec![0.0; y.elements() as usize]);
        conv.reference(self.images, &[read[0], weight, bias, slope, &table], &mut [&mut hidden]);
        heads.reference(self.images, &[&hidden, heads_weight, heads_bias, &[1.0; 16], &heads_table], &mut [&mut logits]);
        let (cells, blocks) = (self.cells as usize, self.blocks as usize);
        let [out, counts] = write else { unreachable!("checked when recorded") };
        let outputs = out.chunks_mut(5 * cells).zip(counts.chunks_mut(blocks));
        for (logits, (out, counts)) in logits.chunks(6 * cells).zip(outputs).take(self.images as usize) {
            out[cells..].copy_from_slice(&logits[2 * cells..]);
            let scores = logits[..cells].iter().zip(&logits[cells..]).map(|(background, face)| face_probability(*background, *face));
            out.iter_mut().zip(scores).for_each(|(out, score)| *out = score);
            self.count(&out[..cells], levels, counts);
        }
    }

    /// Returns the native computation of the hidden values of one image, still without their place.
    fn convolve<'a>(&self, x: &'a [f32], parameters: &'a [f32], levels: &'a [Level]) -> Convolve<'a> {
        let [weight, bias, slope, ..] = self.split(parameters);
        let (n, pool, x_plane) = (1, [1, 1], self.x_plane);
        Convolve { n, c: self.c, out: HIDDEN, k: 3, x_plane, y_plane: 0, pool, levels, x, weight, bias, slope, transformed: None }
    }

    /// Computes the heads of one image, band by band, so that the hidden values stay in a core's cache.
    fn image(&self, x: &[f32], parameters: &[f32], levels: &[Level], heads: &mut [f32]) {
        let [_, _, _, heads_weight, heads_bias] = self.split(parameters);
        let conv = self.convolve(x, parameters, levels);
        let transformed = conv.transform();
        let last = Convolve { c: HIDDEN, out: 6, k: 1, weight: heads_weight, bias: heads_bias, slope: &[1.0; 16], ..conv };
        let conv = Convolve { transformed: conv.transformed(transformed.as_deref()), ..conv };
        let (mut bands, mut rest) = (Vec::new(), PlanesMut::new(heads, Self::OUTPUTS as usize));
        for level in levels {
            let step = (CELLS / level.y_w).max(1).next_multiple_of(ROWS);
            for row in (0..level.y_h).step_by(step as usize) {
                let rows = step.min(level.y_h - row);
                let (own, others) = rest.split_at((rows * level.y_w) as usize);
                rest = others;
                bands.push((Level { x: level.x + row * level.x_w, x_h: rows + 2, y: 0, y_h: rows, ..*level }, own));
            }
        }
        let work = |memory: &mut Vec<f32>, (band, mut out): (Level, PlanesMut)| {
            let cells = band.y_h * band.y_w;
            memory.resize(memory.len().max(((HIDDEN + 6) * cells) as usize), 0.0);
            let (hidden, logits) = memory[..((HIDDEN + 6) * cells) as usize].split_at_mut((HIDDEN * cells) as usize);
            Convolve { y_plane: cells, levels: &[band], ..conv }.run_here(hidden);
            let level = Level { x: 0, x_h: band.y_h, x_w: band.y_w, ..band };
            Convolve { x_plane: cells, y_plane: cells, levels: &[level], x: hidden, ..last }.run_here(logits);
            let (classes, offsets) = logits.split_at(2 * cells as usize);
            let (background, face) = classes.split_at(cells as usize);
            let pairs = background.iter().zip(face);
            out.row_mut(0).iter_mut().zip(pairs).for_each(|(out, (background, face))| *out = face_probability(*background, *face));
            offsets.chunks_exact(cells as usize).enumerate().for_each(|(k, offsets)| out.row_mut(k + 1).copy_from_slice(offsets));
        };
        bands.into_par_iter().for_each_init(Vec::new, work);
    }

    /// Counts the cells that reach the threshold in each block.
    fn count(&self, scores: &[f32], levels: &[Level], counts: &mut [f32]) {
        let mut found = vec![0_u32; counts.len()];
        for level in levels {
            let rows = scores[level.y as usize..][..(level.y_h * level.y_w) as usize].chunks(level.y_w as usize);
            let tiles = rows.flat_map(|row| row.chunks(Self::TILE.w as usize));
            for (tile, scores) in (level.tile..).zip(tiles) {
                let found = &mut found[(tile / Self::BLOCK) as usize];
                *found += scores.iter().map(|score| u32::from(*score >= self.threshold)).sum::<u32>();
                *found |= u32::from(scores.iter().any(|score| score.is_nan())) << 31;
            }
        }
        counts.iter_mut().zip(found).for_each(|(count, found)| *count = f32::from_bits(found));
    }
}

impl Kernel for Propose {
    const NAME: &'static str = "propose";
    const WGSL: &'static [&'static str] = wgsl!("nn/propose", "shared/levels", "shared/probability");
    const WORKGROUP: [u32; 3] = [Self::BLOCK, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UNIFORM, Binding::READ_U32, Binding::WRITE, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.tiles) }
    }

    fn sizes(&self) -> Vec<usize> {
        let (x, heads) = (self.images * self.c * self.x_plane, self.images * Self::OUTPUTS * self.cells);
        let counts = self.images * self.blocks;
        vec![x as usize, Self::PARAMETERS, self.levels as usize * Level::WORDS, heads as usize, counts as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_conv(read, write);
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let levels = &Level::list(read[2])[..self.levels as usize];
        let [out, counts] = write else { unreachable!("checked when recorded") };
        let x = read[0].chunks((self.c * self.x_plane) as usize);
        let outputs = out.chunks_mut((Self::OUTPUTS * self.cells) as usize).zip(counts.chunks_mut(self.blocks as usize));
        for (x, (out, counts)) in x.zip(outputs).take(self.images as usize) {
            self.image(x, read[1], levels, out);
            self.count(&out[..self.cells as usize], levels, counts);
        }
    }

    fn multiply_adds(&self, _: u32) -> u64 {
        u64::from(self.images * self.cells) * u64::from(HIDDEN * (self.c * 9 + 6))
    }

    /// Errors of the heads: those of their own sums, and those of the hidden values, propagated through the
    /// heads. Softmax passes on a quarter of them.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let [weight, bias, slope, heads, heads_bias] = self.split(read[1]).map(largest);
        let levels = &Level::list(read[2])[..self.levels as usize];
        let terms = (self.c * 9 + 1) as f32 * self.convolve(read[0], read[1], levels).growth();
        let hidden = terms * (largest(read[0]) * weight).max(bias) * slope.max(1.0);
        let own = (HIDDEN + 1) as f32 * (hidden * heads).max(heads_bias) * f32::EPSILON;
        own + HIDDEN as f32 * heads * hidden * f32::EPSILON + PROBABILITY_TOLERANCE
    }
}

impl Samples for Propose {
    fn samples() -> Vec<Sample<Self>> {
        let plane = |levels: &[[u32; 2]]| levels.iter().map(|&[h, w]| Extent { h, w }).collect::<Vec<_>>();
        let cases = [
            (1, 1, plane(&[[3, 3]])),
            (1, 16, plane(&[[23, 31], [17, 5], [12, 12], [3, 3]])),
            (3, 16, plane(&[[9, 14], [3, 7]])),
            (1, 16, plane(&[[131, 67]])),
            (2, 5, plane(&[[41, 300], [12, 12]])),
        ];
        let sample = |(images, c, levels): (u32, u32, Vec<Extent>)| {
            let shape = Shape::ragged(images, c, levels).expect("a valid sample");
            let (kernel, table, _) = Self::new(&shape, 0.6).expect("a valid sample");
            let weight = Tensor { shape: vec![32, c as usize, 3, 3], data: noise((32 * c * 9) as usize, 2) };
            let heads = Tensor { shape: vec![6, 32, 1, 1], data: noise(6 * 32, 5) };
            let parameters = Self::pack(&weight, &noise(32, 3), &noise(32, 4), &heads, &noise(6, 6));
            Sample { kernel, read: vec![noise(shape.elements() as usize, 1), parameters, words(table)] }
        };
        cases.into_iter().map(sample).collect()
    }
}
