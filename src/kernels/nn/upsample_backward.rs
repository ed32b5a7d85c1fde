//! Gradient of bilinear upsampling.

use rayon::prelude::*;

use super::upsample::SHAPES;
use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Extent, Shape, noise};

crate::uniform! {
    /// `dx[i, j] += Σ weight dy` over the outputs of [`Upsample`](super::Upsample) that `x[i, j]` has a part
    /// in, at most 4 x 4.
    ///
    /// Reads `dy: [n, c, 2h, 2w]`; adds to `dx: [n, c, h, w]`.
    pub struct UpsampleBackward { planes: u32, h: u32, w: u32 }
}

impl UpsampleBackward {
    /// Of `x`, what was made larger.
    pub fn new(x: &Shape) -> Self {
        let Extent { h, w } = x.levels()[0];
        Self { planes: x.n() * x.c(), h, w }
    }
}

/// Adds up the four neighbours of every element of a row twice as long.
#[inline(always)]
fn narrow(dy: &[f32], dx: &mut [f32]) {
    let last = dx.len() - 1;
    for (j, dx) in dx.iter_mut().enumerate() {
        let left = if j == 0 { 0.25 * dy[0] } else { 0.25 * dy[2 * j - 1] };
        let right = if j == last { 0.25 * dy[2 * last + 1] } else { 0.25 * dy[2 * j + 2] };
        *dx += left + 0.75 * (dy[2 * j] + dy[2 * j + 1]) + right;
    }
}

impl Kernel for UpsampleBackward {
    const NAME: &'static str = "upsample_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/upsample_backward", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.planes * self.h * self.w)
    }

    fn sizes(&self) -> Vec<usize> {
        let x = (self.planes * self.h * self.w) as usize;
        vec![4 * x, x]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (h, w) = (self.h as usize, self.w as usize);
        // What output o takes of element i of a side.
        let weight = |o: usize, i: usize, size: usize| {
            let position = ((o as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, size as f64 - 1.0);
            (1.0 - (position - i as f64).abs()).max(0.0)
        };
        for (at, dx) in write[0][..self.sizes()[1]].iter_mut().enumerate() {
            let (plane, i, j) = (at / (h * w), at / w % h, at % w);
            let mut sum = 0.0;
            for row in (2 * i).saturating_sub(1)..(2 * i + 3).min(2 * h) {
                for column in (2 * j).saturating_sub(1)..(2 * j + 3).min(2 * w) {
                    let dy = f64::from(read[0][(plane * 2 * h + row) * 2 * w + column]);
                    sum += weight(row, i, h) * weight(column, j, w) * dy;
                }
            }
            *dx = (f64::from(*dx) + sum) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (w, area, simd) = (self.w as usize, (self.h * self.w) as usize, Simd::chosen());
        let planes = write[0].par_chunks_exact_mut(area).zip(read[0].par_chunks_exact(4 * area)).take(self.planes as usize);
        planes.with_min_len((BLOCK / area).max(1)).for_each_init(
            || vec![0.0; 2 * w],
            |blend, (dx, dy)| {
                simd.run(Plain(|| {
                    let last = dy.len() / (2 * w) - 1;
                    let row = |i: usize| &dy[i * 2 * w..][..2 * w];
                    for (i, dx) in dx.chunks_exact_mut(w).enumerate() {
                        let (above, own, below) =
                            (row((2 * i).saturating_sub(1)), [row(2 * i), row(2 * i + 1)], row((2 * i + 2).min(last)));
                        let lines = above.iter().zip(own[0]).zip(own[1]).zip(below);
                        blend.iter_mut().zip(lines).for_each(|(blend, (((above, first), second), below))| {
                            *blend = 0.25 * (above + below) + 0.75 * (first + second);
                        });
                        narrow(blend, dx);
                    }
                }));
            },
        );
    }

    /// The weights of an element add up to 4; sixteen terms, each with a product or two.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + 4.0 * 10.0 * largest(read[0])) * f32::EPSILON
    }
}

impl Samples for UpsampleBackward {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                Sample { kernel: Self::new(&shape), read: vec![noise(4 * shape.elements() as usize, 1)] }
            })
            .to_vec()
    }
}
