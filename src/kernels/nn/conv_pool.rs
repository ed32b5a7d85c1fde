//! The first layers of a net, fused: convolution of three channels, PReLU, max pooling.

use super::convolve::Convolve;
use super::{Conv, Level, MaxPool};
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Extent, Shape, ShapeError, Tensor, noise};

crate::uniform! {
    /// 3 x 3 [`Conv`] of three channels with PReLU, followed by [`MaxPool`] with stride 2 (spec section 2).
    ///
    /// Reads `x: [n, 3, levels]`, `parameters` packed by [`ConvPool::pack`] and the level table; writes
    /// `y: [n, out, pooled levels]`.
    pub struct ConvPool { n: u32, out: u32, pool: u32, x_plane: u32, y_plane: u32, levels: u32, tiles: u32 }
}

const TILE: Extent = Extent { h: 2, w: 2 };
const GROUP: u32 = 16;

impl ConvPool {
    /// Largest number of output channels for which the uniform buffer of parameters has room.
    pub const MOST: u32 = 32;
    /// Number of elements of the parameters.
    const PARAMETERS: usize = 1024;

    /// Creates the kernel for `x` of three channels, with `out` output channels, at most [`ConvPool::MOST`],
    /// and pooling windows of side `pool`, 2 or 3. Returns the kernel, its level table and the shape of the
    /// result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a level is smaller than the convolution.
    ///
    /// # Panics
    ///
    /// Panics if `x` has another number of channels, `out` is too large or `pool` is neither 2 nor 3.
    pub fn new(x: &Shape, out: u32, pool: u32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        assert!(x.c() == 3 && out <= Self::MOST && (2..=3).contains(&pool), "{} to {out} channels, windows of {pool}", x.c());
        let (_, _, convolved) = Conv::new(x, out, 3)?;
        let (_, _, y) = MaxPool::new(&convolved, pool, 2)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), TILE);
        let levels = x.levels().len() as u32;
        Ok((Self { n: x.n(), out, pool, x_plane: x.plane(), y_plane: y.plane(), levels, tiles }, table, y))
    }

    /// Concatenates weights `[out, 3, 3, 3]`, bias and slope, each packed as for [`Conv`].
    pub fn pack(weight: &Tensor, bias: &[f32], slope: &[f32]) -> Vec<f32> {
        let mut parameters = [Conv::pack(weight), Conv::pad(bias), Conv::pad(slope)].concat();
        parameters.resize(Self::PARAMETERS, 0.0);
        parameters
    }

    /// Splits the parameters into weights, bias and slope.
    fn split<'a>(&self, parameters: &'a [f32]) -> [&'a [f32]; 3] {
        let padded = self.out.next_multiple_of(GROUP) as usize;
        let (weight, rest) = parameters.split_at(27 * padded);
        [weight, &rest[..padded], &rest[padded..2 * padded]]
    }
}

impl Kernel for ConvPool {
    const NAME: &'static str = "conv_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv_pool", "shared/levels", "shared/channels", "shared/walk");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UNIFORM, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    const WALKERS: Option<u32> = Some(Work::WALKERS);

    fn work(&self) -> Work {
        Work { per_item: self.tiles, together: 1, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        let (x, y) = (self.n * 3 * self.x_plane, self.n * self.out * self.y_plane);
        vec![x as usize, Self::PARAMETERS, self.levels as usize * Level::WORDS, y as usize]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("POOL", f64::from(self.pool))]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let levels = &Level::list(read[2])[..self.levels as usize];
        let extents: Vec<Extent> = levels.iter().map(|level| Extent { h: level.x_h, w: level.x_w }).collect();
        let Ok((conv, table, between)) = Shape::ragged(self.n, 3, extents).and_then(|x| Conv::new(&x, self.out, 3)) else { return };
        let Ok((pool, pool_table, _)) = MaxPool::new(&between, self.pool, 2) else { return };
        let [weight, bias, slope] = self.split(read[1]);
        let mut convolved = vec![0.0; between.elements() as usize];
        conv.reference(items, &[read[0], weight, bias, slope, &words(table)], &mut [&mut convolved]);
        pool.reference(items, &[&convolved, &words(pool_table)], write);
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let &Self { n, out, pool, x_plane, y_plane, .. } = self;
        let ([weight, bias, slope], levels) = (self.split(read[1]), &Level::list(read[2])[..self.levels as usize]);
        Convolve { n, c: 3, out, k: 3, x_plane, y_plane, pool: [pool, 2], levels, x: read[0], weight, bias, slope, transformed: None }
            .run(items, write[0]);
    }

    fn apart(&self) -> Option<Vec<usize>> {
        (self.n > 1).then(|| vec![(3 * self.x_plane) as usize, 0, 0, (self.out * self.y_plane) as usize])
    }

    /// Each result is the largest of about four convolution results.
    fn multiply_adds(&self, items: u32) -> u64 {
        [items, self.out, 4 * self.y_plane, 27].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let [weight, bias, slope] = self.split(read[1]);
        28.0 * (largest(read[0]) * largest(weight)).max(largest(bias)) * largest(slope).max(1.0) * f32::EPSILON
    }
}

impl Samples for ConvPool {
    fn samples() -> Vec<Sample<Self>> {
        let plane = |levels: &[[u32; 2]]| levels.iter().map(|&[h, w]| Extent { h, w }).collect::<Vec<_>>();
        let cases = [
            (1, plane(&[[3, 3]]), 1, 2),
            (1, plane(&[[3, 3]]), 5, 3),
            (1, plane(&[[23, 31], [17, 5], [12, 12], [4, 3]]), 10, 2),
            (2, plane(&[[9, 14], [3, 7]]), 17, 3),
            (5, plane(&[[24, 24]]), 28, 3),
            (2, plane(&[[48, 48]]), 32, 3),
            (1, plane(&[[131, 67]]), 10, 2),
            (1, plane(&[[1045, 1043]]), 1, 2), // more than a workgroup each has to do
        ];
        cases
            .into_iter()
            .map(|(n, levels, out, pool)| {
                let shape = Shape::ragged(n, 3, levels).expect("a valid sample");
                let (kernel, table, _) = Self::new(&shape, out, pool).expect("a valid sample");
                let weight = Tensor { shape: vec![out as usize, 3, 3, 3], data: noise(out as usize * 27, 2) };
                let parameters = Self::pack(&weight, &noise(out as usize, 3), &noise(out as usize, 4));
                Sample { kernel, read: vec![noise(shape.elements() as usize, 1), parameters, words(table)] }
            })
            .collect()
    }
}
