//! P-Net's last layers in one, and which of its cells pass.

use super::{Conv, Level};
use crate::kernels::select::{PROBABILITY_TOLERANCE, face_probability};
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Extent, Shape, ShapeError, Tensor, noise};

crate::uniform! {
    /// Convolution by 3 x 3 to 32 channels, PReLU, 1 x 1 heads with six outputs, softmax over the first two (spec sections 2.1, 3.3).
    ///
    /// Reads `x: [images, c, levels]`, `parameters` of [`Propose::pack`] and the level table; writes `heads: [images, 5, cells]`, face
    /// probability and four box offsets, and `counts: [images, blocks]`, cells that reach `threshold`, with the top bit set where a
    /// probability is NaN.
    pub struct Propose { images: u32, c: u32, x_plane: u32, cells: u32, levels: u32, tiles: u32, blocks: u32, threshold: f32 }
}

const HIDDEN: u32 = 32;

impl Propose {
    /// Neighbouring cells that one invocation makes.
    pub const TILE: Extent = Extent { h: 1, w: 4 };
    /// Tiles of a block.
    pub const BLOCK: u32 = 64;
    /// Outputs of a cell: a probability, four offsets.
    pub const OUTPUTS: u32 = 5;
    /// Most input channels.
    const MOST: u32 = 16;
    /// Elements of the parameters.
    const PARAMETERS: usize = 5200;

    /// Over `x` of at most 16 channels: the kernel, its level table and the extents of its cells.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a level is smaller than the convolution.
    ///
    /// # Panics
    ///
    /// If `x` has more channels.
    pub fn new(x: &Shape, threshold: f32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        assert!(x.c() <= Self::MOST, "{} channels", x.c());
        let (_, _, y) = Conv::new(x, Self::OUTPUTS, 3)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), Self::TILE);
        let (levels, blocks) = (x.levels().len() as u32, tiles.div_ceil(Self::BLOCK));
        let kernel = Self { images: x.n(), c: x.c(), x_plane: x.plane(), cells: y.plane(), levels, tiles, blocks, threshold };
        Ok((kernel, table, y))
    }

    /// Blocks of an image.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Weights `[32, c, 3, 3]`, bias and slope of the convolution, weights `[6, 32]` and bias of the heads, as the kernel reads them: as
    /// [`Conv`] packs them, one behind the other.
    pub fn pack(weight: &Tensor, bias: &[f32], slope: &[f32], heads: &Tensor, heads_bias: &[f32]) -> Vec<f32> {
        let mut parameters = [Conv::pack(weight), Conv::pad(bias), Conv::pad(slope), Conv::pack(heads), Conv::pad(heads_bias)].concat();
        parameters.resize(Self::PARAMETERS, 0.0);
        parameters
    }

    /// Weight, bias, slope, and weight and bias of the heads among the parameters.
    fn split<'a>(&self, parameters: &'a [f32]) -> [&'a [f32]; 5] {
        let (weight, rest) = parameters.split_at((HIDDEN * self.c * 9) as usize);
        let (bias, rest) = rest.split_at(HIDDEN as usize);
        let (slope, rest) = rest.split_at(HIDDEN as usize);
        let (heads, rest) = rest.split_at(HIDDEN as usize * 16);
        [weight, bias, slope, heads, &rest[..16]]
    }

    /// The two convolutions by [`Conv`], then the verdicts; `run` is its reference or native body.
    fn by_conv(&self, read: &[&[f32]], write: &mut [&mut [f32]], run: impl Fn(&Conv, u32, &[&[f32]], &mut [&mut [f32]])) {
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
        run(&conv, self.images, &[read[0], weight, bias, slope, &table], &mut [&mut hidden]);
        run(&heads, self.images, &[&hidden, heads_weight, heads_bias, &[1.0; 16], &heads_table], &mut [&mut logits]);
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

    /// Cells over the threshold, by block.
    fn count(&self, scores: &[f32], levels: &[Level], counts: &mut [f32]) {
        let mut found = vec![0_u32; counts.len()];
        for level in levels {
            for cell in 0..level.y_h * level.y_w {
                let tile = level.tile + cell / level.y_w * level.columns + cell % level.y_w / Self::TILE.w;
                let (score, found) = (scores[(level.y + cell) as usize], &mut found[(tile / Self::BLOCK) as usize]);
                *found += u32::from(score >= self.threshold);
                *found |= u32::from(score.is_nan()) << 31;
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
        self.by_conv(read, write, Conv::reference);
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_conv(read, write, Conv::native);
    }

    /// Of the heads: their own sums, and what the errors of the hidden values come to in them. Softmax hands on a quarter of that.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let [weight, bias, slope, heads, heads_bias] = self.split(read[1]).map(largest);
        let terms = (self.c * 9 + 1) as f32;
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
