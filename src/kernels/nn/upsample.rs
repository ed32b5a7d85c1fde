//! Bilinear upsampling to twice the size.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Extent, Shape, ShapeError, noise};

crate::uniform! {
    /// `y[i, j] = x` at `((i + 1/2) / 2 - 1/2, (j + 1/2) / 2 - 1/2)`, bilinear, clamped to the edge:
    /// half-pixel centres.
    ///
    /// Reads `x: [n, c, h, w]`; writes `y: [n, c, 2h, 2w]`. Backward is
    /// [`UpsampleBackward`](super::UpsampleBackward).
    pub struct Upsample { planes: u32, h: u32, w: u32 }
}

impl Upsample {
    /// Of `x`, which has one level: the kernel and the shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the result is too large to index.
    pub fn new(x: &Shape) -> Result<(Self, Shape), ShapeError> {
        let Extent { h, w } = x.levels()[0];
        let y = Shape::new([x.n(), x.c(), h.saturating_mul(2), w.saturating_mul(2)])?;
        Ok((Self { planes: x.n() * x.c(), h, w }, y))
    }
}

/// Twice the size of a row, its neighbours weighed.
#[inline(always)]
fn widen(x: &[f32], y: &mut [f32]) {
    let last = x.len() - 1;
    (y[0], y[2 * last + 1]) = (x[0], x[last]);
    for (pair, y) in x.windows(2).zip(y[1..].chunks_exact_mut(2)) {
        y[0] = 0.75 * pair[0] + 0.25 * pair[1];
        y[1] = 0.75 * pair[1] + 0.25 * pair[0];
    }
}

impl Kernel for Upsample {
    const NAME: &'static str = "upsample";
    const WGSL: &'static [&'static str] = wgsl!("nn/upsample", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(4 * self.planes * self.h * self.w)
    }

    fn sizes(&self) -> Vec<usize> {
        let x = (self.planes * self.h * self.w) as usize;
        vec![x, 4 * x]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (h, w) = (self.h as usize, self.w as usize);
        // Two elements, and the weight of the second.
        let taps = |i: usize, size: usize| {
            let position = ((i as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, size as f64 - 1.0);
            let first = position as usize;
            (first, (first + 1).min(size - 1), position - first as f64)
        };
        for (at, y) in write[0][..self.sizes()[1]].iter_mut().enumerate() {
            let (plane, i, j) = (at / (4 * h * w), at / (2 * w) % (2 * h), at % (2 * w));
            let ((top, bottom, down), (left, right, across)) = (taps(i, h), taps(j, w));
            let x = |row: usize, column: usize| f64::from(read[0][(plane * h + row) * w + column]);
            let line = |row: usize| (1.0 - across) * x(row, left) + across * x(row, right);
            *y = ((1.0 - down) * line(top) + down * line(bottom)) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (w, area, simd) = (self.w as usize, (self.h * self.w) as usize, Simd::chosen());
        let planes = write[0].par_chunks_exact_mut(4 * area).zip(read[0].par_chunks_exact(area)).take(self.planes as usize);
        planes.with_min_len((BLOCK / area).max(1)).for_each_init(
            || vec![0.0; w],
            |blend, (y, x)| {
                simd.run(Plain(|| {
                    let rows = x.len() / w;
                    for (i, y) in y.chunks_exact_mut(2 * w).enumerate() {
                        let far = if i % 2 == 1 { (i / 2 + 1).min(rows - 1) } else { (i / 2).saturating_sub(1) };
                        let (near, far) = (&x[i / 2 * w..][..w], &x[far * w..][..w]);
                        blend.iter_mut().zip(near).zip(far).for_each(|((blend, near), far)| *blend = 0.75 * near + 0.25 * far);
                        widen(blend, y);
                    }
                }));
            },
        );
    }

    /// Weights are exact and add up to one; products and sums of two sides round.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        4.0 * largest(read[0]) * f32::EPSILON
    }
}

/// Shapes of what is made larger.
pub(super) const SHAPES: [[u32; 4]; 6] = [[1, 1, 1, 1], [2, 3, 7, 7], [1, 2, 1, 5], [3, 1, 6, 1], [2, 5, 14, 13], [1, 2, 65, 130]];

impl Samples for Upsample {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                let (kernel, _) = Self::new(&shape).expect("a valid sample");
                Sample { kernel, read: vec![noise(shape.elements() as usize, 1)] }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&Upsample, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn four_elements_worked_out_by_hand() {
        let (kernel, y) = Upsample::new(&Shape::new([1, 1, 2, 2]).unwrap()).unwrap();
        assert_eq!(y, Shape::new([1, 1, 4, 4]).unwrap());
        let want = [0.0, 0.25, 0.75, 1.0, 0.5, 0.75, 1.25, 1.5, 1.5, 1.75, 2.25, 2.5, 2.0, 2.25, 2.75, 3.0];
        for play in [Kernel::reference as Play, Kernel::native as Play] {
            let mut y = [f32::NAN; 16];
            play(&kernel, 1, &[&[0.0, 1.0, 2.0, 3.0]], &mut [&mut y]);
            assert_eq!(y, want);
        }
    }
}
