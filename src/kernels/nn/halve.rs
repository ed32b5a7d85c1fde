//! Reduction to half the size by area average.

use rayon::prelude::*;

use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Extent, Shape, ShapeError, noise};

crate::uniform! {
    /// `y[n,c,i,j]` = mean of the four `x[n,c,2i..2i+2,2j..2j+2]`: reduces the crop of a rival net to the
    /// input size of the net before it (spec section 5).
    ///
    /// Reads `x: [n, c, 2h, 2w]`; writes `y: [n, c, h, w]`.
    pub struct Halve { n: u32, c: u32, h: u32, w: u32 }
}

impl Halve {
    /// Creates the kernel for `x`, which has one level; an odd last row or column is left out. Returns the
    /// kernel and the shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if a side is 1.
    pub fn new(x: &Shape) -> Result<(Self, Shape), ShapeError> {
        let Extent { h, w } = x.levels()[0];
        let y = Shape::new([x.n(), x.c(), h / 2, w / 2])?;
        Ok((Self { n: x.n(), c: x.c(), h: h / 2, w: w / 2 }, y))
    }

    fn plane(&self, x: &[f32], y: &mut [f32]) {
        let w = self.w as usize;
        for (y, x) in y.chunks_exact_mut(w).zip(x.chunks_exact(4 * w)) {
            let (above, below) = x.split_at(2 * w);
            for ((y, above), below) in y.iter_mut().zip(above.chunks_exact(2)).zip(below.chunks_exact(2)) {
                *y = ((above[0] + above[1]) + (below[0] + below[1])) * 0.25;
            }
        }
    }
}

impl Kernel for Halve {
    const NAME: &'static str = "halve";
    const WGSL: &'static [&'static str] = wgsl!("nn/halve");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.h * self.w, together: 1, items: Some(self.n), rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        let y = (self.n * self.c * self.h * self.w) as usize;
        vec![4 * y, y]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (h, w) = (self.h as usize, self.w as usize);
        let y = write[0].iter_mut().take(items as usize * self.c as usize * h * w);
        for (at, y) in y.enumerate() {
            let (plane, i, j) = (at / (h * w), at / w % h, at % w);
            let x = |row: usize, column: usize| f64::from(read[0][(plane * 2 * h + row) * 2 * w + column]);
            let sum = x(2 * i, 2 * j) + x(2 * i, 2 * j + 1) + x(2 * i + 1, 2 * j) + x(2 * i + 1, 2 * j + 1);
            *y = (sum / 4.0) as f32;
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let area = (self.h * self.w) as usize;
        let planes = write[0].par_chunks_mut(area).zip(read[0].par_chunks(4 * area));
        planes.with_min_len(16).take((items * self.c) as usize).for_each(|(y, x)| self.plane(x, y));
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        4.0 * largest(read[0]) * f32::EPSILON
    }
}

impl Samples for Halve {
    fn samples() -> Vec<Sample<Self>> {
        let shapes = [[1, 1, 2, 2], [3, 2, 6, 10], [2, 3, 48, 48], [1, 5, 66, 130]];
        shapes
            .map(|nchw| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let (kernel, _) = Self::new(&shape).expect("a valid sample");
                Sample { kernel, read: vec![noise(shape.elements() as usize, 1)] }
            })
            .to_vec()
    }
}
