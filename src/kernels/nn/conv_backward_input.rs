//! Gradient with respect to the input of a convolution.

use rayon::prelude::*;

use super::convolve::Convolve;
use super::{ConvFlip, GROUP, Level, grid};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx[n,c,a,b] = Σ_{o,u,v} dy[n,o,a-u,b-v] weight[o,c,u,v]`, `dy` zero outside (spec section 8).
    ///
    /// Reads `dy: [n, out, y_h, y_w]` and the weights as written by [`ConvFlip`]; writes
    /// `dx: [n, c, y_h + k - 1, y_w + k - 1]`.
    pub struct ConvBackwardInput { n: u32, c: u32, out: u32, k: u32, y_h: u32, y_w: u32 }
}

impl ConvBackwardInput {
    /// Creates the kernel for a `k x k` convolution from `c` channels to an output of shape `y`, which has
    /// one level.
    pub fn new(c: u32, y: &Shape, k: u32) -> Self {
        let level = y.levels()[0];
        Self { n: y.n(), c, out: y.c(), k, y_h: level.h, y_w: level.w }
    }

    fn x_size(&self) -> [usize; 2] {
        [(self.y_h + self.k - 1) as usize, (self.y_w + self.k - 1) as usize]
    }

    /// Returns the padded `dy` and `x` as a level.
    fn level(&self) -> Level {
        let [x_h, x_w] = [self.y_h, self.y_w].map(|side| side + 2 * (self.k - 1));
        let [y_h, y_w] = self.x_size().map(|side| side as u32);
        Level { tile: 0, columns: 0, x: 0, x_h, x_w, y: 0, y_h, y_w }
    }

    /// Returns the convolution that maps the padded `dy` to `dx`, still without its operands.
    fn convolve<'a>(&self, levels: &'a [Level; 1]) -> Convolve<'a> {
        let (n, c, out, k) = (self.n, self.out, self.c, self.k);
        let (x_plane, y_plane) = (levels[0].x_h * levels[0].x_w, levels[0].y_h * levels[0].y_w);
        let (pool, x, weight, bias, slope) = ([1, 1], &[][..], &[][..], &[][..], &[][..]);
        Convolve { n, c, out, k, x_plane, y_plane, pool, levels, x, weight, bias, slope, transformed: None }
    }

    /// Pads the `dy` of an item with `k - 1` zeros on every side, so that a valid convolution of it reaches
    /// every element of `x`.
    fn pad(&self, dy: &[f32], padded: &mut Vec<f32>) {
        let (edge, h, w) = (self.k as usize - 1, self.y_h as usize, self.y_w as usize);
        let [rows, columns] = [h + 2 * edge, w + 2 * edge];
        padded.clear();
        padded.resize(self.out as usize * rows * columns, 0.0);
        for (plane, dy) in padded.chunks_exact_mut(rows * columns).zip(dy.chunks_exact(h * w)) {
            for (row, dy) in plane.chunks_exact_mut(columns).skip(edge).zip(dy.chunks_exact(w)) {
                row[edge..edge + w].copy_from_slice(dy);
            }
        }
    }
}

impl Kernel for ConvBackwardInput {
    const NAME: &'static str = "conv_backward_input";
    const WGSL: &'static [&'static str] = wgsl!("nn/conv_backward_input", "shared/tile");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        let [h, w] = self.x_size();
        let tiles = h.div_ceil(2) * w.div_ceil(4);
        Work { per_item: tiles as u32, together: 1, items: Some(self.n), rows: self.c.div_ceil(GROUP as u32) }
    }

    fn sizes(&self) -> Vec<usize> {
        let [h, w] = self.x_size();
        let y = (self.n * self.out * self.y_h * self.y_w) as usize;
        vec![y, ConvFlip::new(self.c, self.out, self.k).elements(), (self.n * self.c) as usize * h * w]
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, out, k) = (self.c as usize, self.out as usize, self.k as usize);
        let ([h, w], y_h, y_w) = (self.x_size(), self.y_h as usize, self.y_w as usize);
        for (n, channel) in (0..items as usize).flat_map(|n| (0..c).map(move |channel| (n, channel))) {
            for (a, b) in (0..h).flat_map(|a| (0..w).map(move |b| (a, b))) {
                let at = ((n * c + channel) * h + a) * w + b;
                let mut sum = 0.0;
                for (o, u, v) in grid(out, k, k) {
                    if (u..u + y_h).contains(&a) && (v..v + y_w).contains(&b) {
                        let tap = k * k - 1 - (u * k + v);
                        let weight = read[1][((channel / GROUP * out + o) * k * k + tap) * GROUP + channel % GROUP];
                        sum += f64::from(weight) * f64::from(read[0][((n * out + o) * y_h + a - u) * y_w + b - v]);
                    }
                }
                write[0][at] = sum as f32;
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let padded = self.c.next_multiple_of(GROUP as u32) as usize;
        let (none, linear, level) = (vec![0.0; padded], vec![1.0; padded], self.level());
        let levels = &[level];
        let convolve = Convolve { weight: read[1], bias: &none, slope: &linear, ..self.convolve(levels) };
        let transformed = convolve.transform();
        let convolve = Convolve { transformed: convolve.transformed(transformed.as_deref()), ..convolve };
        let (y, x) = ((self.out * self.y_h * self.y_w) as usize, (self.c * level.y_h * level.y_w) as usize);
        let items = read[0].par_chunks_exact(y).zip(write[0].par_chunks_exact_mut(x)).take(items as usize);
        items.for_each_init(Vec::new, |padded, (dy, dx)| {
            self.pad(dy, padded);
            Convolve { x: padded, ..convolve }.run_here(dx);
        });
    }

    fn multiply_adds(&self, items: u32) -> u64 {
        [items, self.out, self.y_h, self.y_w, self.c, self.k, self.k].into_iter().map(u64::from).product()
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = (self.out * self.k * self.k + 1) as f32 * self.convolve(&[self.level()]).growth();
        terms * (largest(read[0]) * largest(read[1])).max(1.0) * f32::EPSILON
    }
}

/// Test cases: items, input channels, input rows and columns, output channels and kernel side.
pub(super) const CASES: [[u32; 6]; 10] = [
    [1, 1, 1, 1, 1, 1],
    [3, 32, 1, 1, 16, 1],
    [1, 3, 3, 3, 10, 3],
    [2, 10, 9, 14, 17, 3],
    [5, 48, 4, 4, 64, 2],
    [7, 28, 11, 11, 48, 3],
    [3, 3, 23, 37, 10, 3],
    [3, 32, 9, 8, 31, 3],
    [1, 2, 131, 67, 33, 2],
    [3, 5, 9, 12, 18, 5],
];

impl Samples for ConvBackwardInput {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .map(|[n, c, h, w, out, k]| {
                let y = Shape::new([n, out, h + 1 - k, w + 1 - k]).expect("a valid sample");
                let weights = noise(ConvFlip::new(c, out, k).elements(), 2);
                Sample { kernel: Self::new(c, &y, k), read: vec![noise(y.elements() as usize, 1), weights] }
            })
            .to_vec()
    }
}
