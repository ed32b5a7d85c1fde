//! Convolution with its weights in a uniform buffer.

use super::{Conv, Level};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Extent, Shape, ShapeError, Tensor, noise};

crate::uniform! {
    /// [`Conv`] for `k` up to 3, computing `groups` groups of 16 channels starting at group `first`.
    ///
    /// Reads `x: [n, c, levels]`, the `weight` of these groups, `bias` and `slope` of all groups, packed as
    /// for [`Conv`], and the level table; updates the channels of these groups in
    /// `y: [n, out, levels less k - 1]`.
    pub struct ConvUniform {
        n: u32, c: u32, out: u32, k: u32, x_plane: u32, y_plane: u32, levels: u32, tiles: u32, first: u32, groups: u32,
    }
}

const GROUP: u32 = 16;
const TILE: Extent = Extent { h: 3, w: 3 };

impl ConvUniform {
    /// Number of elements of the uniform buffer: 64 KiB, which every device supports.
    pub const WEIGHTS: usize = 16_384;

    /// Returns whether this kernel supports a convolution.
    pub fn fits(c: u32, k: u32) -> bool {
        k <= 3 && Self::slice(c, k) >= 1
    }

    /// Returns the number of groups whose weights fit the uniform buffer.
    fn slice(c: u32, k: u32) -> u32 {
        Self::WEIGHTS as u32 / (GROUP * c * k * k)
    }

    /// Splits the packed weights of a convolution of `c` channels into slices: first group, number of groups,
    /// and the uniform buffer.
    pub fn slices(packed: &[f32], c: u32, k: u32) -> Vec<(u32, u32, Vec<f32>)> {
        let group = (GROUP * c * k * k) as usize;
        let all = (packed.len() / group) as u32;
        // Equal shares avoid a short last slice.
        let step = all.div_ceil(all.div_ceil(Self::slice(c, k).max(1)));
        let slice = |first: u32| {
            let groups = step.min(all - first);
            let mut weights = packed[first as usize * group..(first + groups) as usize * group].to_vec();
            weights.resize(Self::WEIGHTS, 0.0);
            (first, groups, weights)
        };
        (0..all).step_by(step as usize).map(slice).collect()
    }

    /// Creates the kernel for groups `first .. first + groups` of a `k x k` convolution of `x` to `out`
    /// channels. Returns the kernel, its level table and the shape of the whole result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a level is smaller than the kernel.
    pub fn new(x: &Shape, out: u32, k: u32, first: u32, groups: u32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        let (_, _, y) = Conv::new(x, out, k)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), TILE);
        let levels = x.levels().len() as u32;
        let kernel = Self { n: x.n(), c: x.c(), out, k, x_plane: x.plane(), y_plane: y.plane(), levels, tiles, first, groups };
        Ok((kernel, table, y))
    }

    /// Returns the [`Conv`] of these groups, with its level table and the shape of its result.
    fn conv(&self, read: &[&[f32]]) -> Option<(Conv, Vec<u32>, Shape)> {
        let levels = &Level::list(read[4])[..self.levels as usize];
        let extents: Vec<Extent> = levels.iter().map(|level| Extent { h: level.x_h, w: level.x_w }).collect();
        let out = (self.groups * GROUP).min(self.out - self.first * GROUP);
        Shape::ragged(self.n, self.c, extents).and_then(|x| Conv::new(&x, out, self.k)).ok()
    }

    /// Computes the channels of these groups with [`Conv`], where `run` is its reference or native body.
    fn by_conv(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]], run: impl Fn(&Conv, u32, &[&[f32]], &mut [&mut [f32]])) {
        let Some((conv, table, y)) = self.conv(read) else { return };
        let (start, out) = (self.first * GROUP, y.c());
        let lanes = start as usize..(start + out.next_multiple_of(GROUP)) as usize;
        let (table, mut own) = (words(table), vec![0.0; (items * y.item()) as usize]);
        run(&conv, items, &[read[0], read[1], &read[2][lanes.clone()], &read[3][lanes], &table], &mut [&mut own]);
        let (whole, part, start) = ((self.out * self.y_plane) as usize, (out * self.y_plane) as usize, (start * self.y_plane) as usize);
        for (y, own) in write[0].chunks_mut(whole).zip(own.chunks(part)).take(items as usize) {
            y[start..start + part].copy_from_slice(own);
        }
    }
}

impl Kernel for ConvUniform {
    const NAME: &'static str = "conv_uniform";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv_uniform", "shared/levels", "shared/channels", "shared/walk");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] =
        &[Binding::READ, Binding::UNIFORM, Binding::READ, Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    const WALKERS: Option<u32> = Some(Work::WALKERS);

    fn work(&self) -> Work {
        Work { per_item: self.tiles, together: 1, items: Some(self.n), rows: self.groups }
    }

    fn sizes(&self) -> Vec<usize> {
        let padded = self.out.next_multiple_of(GROUP) as usize;
        let (x, y) = (self.n * self.c * self.x_plane, self.n * self.out * self.y_plane);
        vec![x as usize, Self::WEIGHTS, padded, padded, self.levels as usize * Level::WORDS, y as usize]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_conv(items, read, write, Conv::reference);
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.by_conv(items, read, write, Conv::native);
    }

    fn apart(&self) -> Option<Vec<usize>> {
        let sizes = |plane: u32, channels: u32| (plane * channels) as usize;
        (self.n > 1).then(|| vec![sizes(self.x_plane, self.c), 0, 0, 0, 0, sizes(self.y_plane, self.out)])
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        let out = (self.groups * GROUP).min(self.out - self.first * GROUP);
        [items, out, self.y_plane, self.c, self.k, self.k].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        self.conv(read).map_or(0.0, |(conv, table, _)| conv.tolerance(&[read[0], read[1], read[2], read[3], &words(table)]))
    }
}

impl Samples for ConvUniform {
    fn samples() -> Vec<Sample<Self>> {
        let plane = |levels: &[[u32; 2]]| levels.iter().map(|&[h, w]| Extent { h, w }).collect::<Vec<_>>();
        let cases = [
            (1, 1, plane(&[[1, 1]]), 3, 1),
            (1, 3, plane(&[[3, 3]]), 12, 3),
            (1, 10, plane(&[[23, 31], [17, 5], [12, 12]]), 16, 3),
            (2, 10, plane(&[[9, 14], [3, 7]]), 21, 3),
            (5, 48, plane(&[[4, 4]]), 64, 2),
            (7, 28, plane(&[[11, 11]]), 48, 3),
            (2, 32, plane(&[[23, 23]]), 64, 3),
            (1, 2, plane(&[[131, 67]]), 32, 2),
            (1, 1, plane(&[[801, 790]]), 2, 1), // more than a workgroup each has to do
        ];
        let sample = |(n, c, levels, out, k): (u32, u32, Vec<Extent>, u32, u32)| {
            let shape = Shape::ragged(n, c, levels).expect("a valid sample");
            let data = noise((out * c * k * k) as usize, 2);
            let packed = Conv::pack(&Tensor { shape: vec![out as usize, c as usize, k as usize, k as usize], data });
            let slice = move |(first, groups, weights)| {
                let (kernel, table, _) = Self::new(&shape, out, k, first, groups).expect("a valid sample");
                let per_channel = |seed| Conv::pad(&noise(out as usize, seed));
                let x = noise(shape.elements() as usize, 1);
                Sample { kernel, read: vec![x, weights, per_channel(3), per_channel(4), words(table)] }
            };
            Self::slices(&packed, c, k).into_iter().map(slice)
        };
        cases.into_iter().flat_map(sample).collect()
    }
}
