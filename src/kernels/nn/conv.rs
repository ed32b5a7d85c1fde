//! Valid convolution with bias and PReLU.

use super::convolve::Convolve;
use super::{Level, prelu};
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Extent, Shape, ShapeError, Tensor, noise};

crate::uniform! {
    /// `y[n,o,i,j] = prelu_o(bias[o] + Σ_{c,u,v} weight[o,c,u,v] x[n,c,i+u,j+v])`, stride 1 (spec section 8).
    ///
    /// Reads `x: [n, c, levels]`, packed `weight`, `bias`, `slope` and the level table; writes
    /// `y: [n, out, levels less k - 1]`.
    pub struct Conv { n: u32, c: u32, out: u32, k: u32, x_plane: u32, y_plane: u32, levels: u32, tiles: u32 }
}

/// Output channels of a group, which one invocation keeps in registers.
pub(super) const GROUP: usize = 16;
const TILE: Extent = Extent { h: 2, w: 4 };

impl Conv {
    /// Creates a `k x k` convolution of `x` to `out` channels. Returns the kernel, its level table and the
    /// shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a level is smaller than the kernel.
    pub fn new(x: &Shape, out: u32, k: u32) -> Result<(Self, Vec<u32>, Shape), ShapeError> {
        let shrunk: Vec<Extent> =
            x.levels().iter().map(|l| Extent { h: (l.h + 1).saturating_sub(k), w: (l.w + 1).saturating_sub(k) }).collect();
        let y = Shape::ragged(x.n(), out, shrunk)?;
        let (table, tiles) = Level::table(x.levels(), y.levels(), TILE);
        let levels = x.levels().len() as u32;
        let kernel = Self { n: x.n(), c: x.c(), out, k, x_plane: x.plane(), y_plane: y.plane(), levels, tiles };
        Ok((kernel, table, y))
    }

    fn groups(&self) -> usize {
        (self.out as usize).div_ceil(GROUP)
    }

    /// Returns the native computation, still without its input.
    fn convolve<'a>(&self, weight: &'a [f32], bias: &'a [f32], slope: &'a [f32], levels: &'a [f32]) -> Convolve<'a> {
        let &Self { n, c, out, k, x_plane, y_plane, .. } = self;
        let levels = &Level::list(levels)[..self.levels as usize];
        Convolve { n, c, out, k, x_plane, y_plane, pool: [1, 1], levels, x: &[], weight, bias, slope, transformed: None }
    }

    /// Returns weights `[out, c, k, k]` in the order in which the kernel reads them, `[groups, c, k, k, 16]`,
    /// zero beyond `out`.
    pub fn pack(weight: &Tensor) -> Vec<f32> {
        let (out, each) = (weight.shape[0], weight.data.len() / weight.shape[0]);
        let mut packed = vec![0.0; out.div_ceil(GROUP) * GROUP * each];
        for (i, value) in weight.data.iter().enumerate() {
            let (o, tap) = (i / each, i % each);
            packed[(o / GROUP * each + tap) * GROUP + o % GROUP] = *value;
        }
        packed
    }

    /// Inverse of [`Conv::pack`]: returns the tensor of `shape` `[out, c, k, k]`.
    pub fn unpack(packed: &[f32], shape: &[usize]) -> Tensor {
        let each: usize = shape[1..].iter().product();
        let value = |i: usize| packed[(i / each / GROUP * each + i % each) * GROUP + i / each % GROUP];
        Tensor { shape: shape.to_vec(), data: (0..shape[0] * each).map(value).collect() }
    }

    /// Pads one value per output channel (bias or slope) to whole groups.
    pub fn pad(per_channel: &[f32]) -> Vec<f32> {
        let mut padded = per_channel.to_vec();
        padded.resize(per_channel.len().next_multiple_of(GROUP), 0.0);
        padded
    }
}

impl Kernel for Conv {
    const NAME: &'static str = "conv";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv", "shared/levels", "shared/channels", "shared/tile", "shared/walk");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ, Binding::READ, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    const WALKERS: Option<u32> = Some(Work::WALKERS);

    fn work(&self) -> Work {
        Work { per_item: self.tiles, together: 1, items: Some(self.n), rows: self.groups() as u32 }
    }

    fn sizes(&self) -> Vec<usize> {
        let padded = self.groups() * GROUP;
        let weights = padded * (self.c * self.k * self.k) as usize;
        let (x, y) = (self.n * self.c * self.x_plane, self.n * self.out * self.y_plane);
        vec![x as usize, weights, padded, padded, self.levels as usize * Level::WORDS, y as usize]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, weight, bias, slope, levels] = read else { unreachable!("checked when recorded") };
        let (c, k, out) = (self.c as usize, self.k as usize, self.out as usize);
        for (item, level) in (0..items as usize).flat_map(|n| Level::list(levels).iter().map(move |l| (n, l))) {
            for (o, i, j) in grid(out, level.y_h as usize, level.y_w as usize) {
                let mut sum = f64::from(bias[o]);
                for (channel, u, v) in grid(c, k, k) {
                    let at = (item * c + channel) * self.x_plane as usize + level.x as usize + (i + u) * level.x_w as usize + j + v;
                    let tap = (o / GROUP * c * k * k + (channel * k + u) * k + v) * GROUP + o % GROUP;
                    sum += f64::from(weight[tap]) * f64::from(x[at]);
                }
                let at = (item * out + o) * self.y_plane as usize + level.y as usize + i * level.y_w as usize + j;
                write[0][at] = prelu(sum, f64::from(slope[o])) as f32;
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [x, weight, bias, slope, levels, prepared @ ..] = read else { unreachable!("checked when recorded") };
        let convolve = self.convolve(weight, bias, slope, levels);
        let transformed = convolve.transformed(prepared.first().copied());
        Convolve { x, transformed, ..convolve }.run(items, write[0]);
    }

    fn prepare(&self, read: &[Option<&[f32]>]) -> Option<Vec<f32>> {
        let &[_, Some(weight), Some(bias), Some(slope), Some(levels)] = read else { return None };
        self.convolve(weight, bias, slope, levels).transform()
    }

    fn apart(&self) -> Option<Vec<usize>> {
        let sizes = |plane: u32, channels: u32| (plane * channels) as usize;
        (self.n > 1).then(|| vec![sizes(self.x_plane, self.c), 0, 0, 0, 0, sizes(self.y_plane, self.out)])
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        [items, self.out, self.y_plane, self.c, self.k, self.k].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let growth = self.convolve(read[1], read[2], read[3], read[4]).growth();
        let terms = (self.c * self.k * self.k + 1) as f32 * growth;
        let term = (largest(read[0]) * largest(read[1])).max(largest(read[2]));
        terms * term * largest(read[3]).max(1.0) * f32::EPSILON
    }
}

/// Returns every index of an `a x b x c` grid, in row-major order.
pub(super) fn grid(a: usize, b: usize, c: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..a).flat_map(move |i| (0..b).flat_map(move |j| (0..c).map(move |k| (i, j, k))))
}

impl Samples for Conv {
    fn samples() -> Vec<Sample<Self>> {
        let plane = |levels: &[[u32; 2]]| levels.iter().map(|&[h, w]| Extent { h, w }).collect::<Vec<_>>();
        let cases = [
            (1, 1, plane(&[[1, 1]]), 1, 1),
            (3, 32, plane(&[[1, 1]]), 6, 1),
            (1, 3, plane(&[[3, 3]]), 10, 3),
            (1, 3, plane(&[[23, 31], [17, 5], [12, 12]]), 10, 3),
            (2, 10, plane(&[[9, 14], [3, 7]]), 17, 3),
            (5, 48, plane(&[[4, 4]]), 64, 2),
            (7, 28, plane(&[[11, 11]]), 48, 3),
            (9, 9, plane(&[[4, 5]]), 33, 2),
            (3, 64, plane(&[[10, 10]]), 64, 3),
            (1, 2, plane(&[[131, 67]]), 33, 2),
            (1, 1, plane(&[[303, 1801]]), 2, 1), // more than a workgroup each has to do
        ];
        cases
            .into_iter()
            .map(|(n, c, levels, out, k)| {
                let shape = Shape::ragged(n, c, levels).expect("a valid sample");
                let (kernel, table, _) = Self::new(&shape, out, k).expect("a valid sample");
                let weight =
                    Tensor { shape: vec![out as usize, c as usize, k as usize, k as usize], data: noise((out * c * k * k) as usize, 2) };
                let per_channel = |seed| Self::pad(&noise(out as usize, seed));
                let x = noise(shape.elements() as usize, 1);
                Sample { kernel, read: vec![x, Self::pack(&weight), per_channel(3), per_channel(4), words(table)] }
            })
            .collect()
    }
}
