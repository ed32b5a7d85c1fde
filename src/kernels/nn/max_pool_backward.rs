//! Gradient of max pooling.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolBackward, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `dx` += `dy` of every window whose first maximum in raster order is there (spec section 8).
    ///
    /// Reads `x: [n, c, x_h, x_w]` and `dy: [n, c, y_h, y_w]`; adds to `dx`.
    pub struct MaxPoolBackward { n: u32, c: u32, k: u32, stride: u32, x_h: u32, x_w: u32, y_h: u32, y_w: u32 }
}

impl MaxPoolBackward {
    /// Of the pooling of `x` to `y`, both of one level.
    pub fn new(x: &Shape, y: &Shape, k: u32, stride: u32) -> Self {
        let (from, to) = (x.levels()[0], y.levels()[0]);
        Self { n: x.n(), c: x.c(), k, stride, x_h: from.h, x_w: from.w, y_h: to.h, y_w: to.w }
    }

    /// Adds the gradient of one plane.
    fn plane(&self, x: &[f32], dy: &[f32], dx: &mut [f32]) {
        for (window, d) in dy.iter().enumerate() {
            let (row, column) = (window as u32 / self.y_w * self.stride, window as u32 % self.y_w * self.stride);
            let mut best = (row * self.x_w + column) as usize;
            for i in row..(row + self.k).min(self.x_h) {
                for j in column..(column + self.k).min(self.x_w) {
                    let at = (i * self.x_w + j) as usize;
                    best = if x[at] > x[best] { at } else { best };
                }
            }
            dx[best] += d;
        }
    }
}

impl Kernel for MaxPoolBackward {
    const NAME: &'static str = "max_pool_backward";
    const WGSL: &'static [&'static str] = wgsl!("nn/max_pool_backward");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.x_h * self.x_w, together: 1, items: Some(self.n), rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        let planes = (self.n * self.c) as usize;
        let (x, y) = ((self.x_h * self.x_w) as usize, (self.y_h * self.y_w) as usize);
        vec![planes * x, planes * y, planes * x]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (x, y) = ((self.x_h * self.x_w) as usize, (self.y_h * self.y_w) as usize);
        let planes = read[0].chunks_exact(x).zip(read[1].chunks_exact(y)).zip(write[0].chunks_exact_mut(x));
        planes.take((items * self.c) as usize).for_each(|((x, dy), dx)| self.plane(x, dy, dx));
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (x, y, simd) = ((self.x_h * self.x_w) as usize, (self.y_h * self.y_w) as usize, Simd::chosen());
        let size = [self.x_h as usize, self.x_w as usize, self.y_h as usize, self.y_w as usize];
        let planes = read[0].par_chunks_exact(x).zip(read[1].par_chunks_exact(y)).zip(write[0].par_chunks_exact_mut(x));
        planes.take((items * self.c) as usize).with_min_len(16).for_each(|((x, dy), dx)| match (self.k, self.stride) {
            (2, 2) => simd.run(PoolBackward::<2> { size, x, dy, dx }),
            (3, 2) => simd.run(PoolBackward::<3> { size, x, dy, dx }),
            _ => self.plane(x, dy, dx),
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let covering = self.k.div_ceil(self.stride).pow(2) + 1;
        covering as f32 * (1.0 + covering as f32 * largest(read[1])) * f32::EPSILON
    }
}

impl Samples for MaxPoolBackward {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [
            ([1, 1, 1, 1], 2, 2),
            ([1, 1, 2, 2], 3, 2),
            ([2, 3, 22, 22], 3, 2),
            ([3, 10, 9, 13], 2, 2),
            ([1, 2, 201, 65], 3, 2),
            ([2, 5, 7, 4], 3, 1),
        ];
        cases
            .into_iter()
            .map(|(shape, k, stride)| {
                let x = Shape::new(shape).expect("a valid sample");
                let (_, _, y) = super::MaxPool::new(&x, k, stride).expect("a valid sample");
                // Few values, so that many windows have several maxima.
                let data = noise(x.elements() as usize, 1).into_iter().map(|v| (v * 3.0).round()).collect();
                Sample { kernel: Self::new(&x, &y, k, stride), read: vec![data, noise(y.elements() as usize, 2)] }
            })
            .collect()
    }
}
