//! PReLU and max pooling in one pass, which keeps for training what its gradient needs of the
//! pre-activations.

use super::prelu;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolPlaces, Simd};
use crate::tensor::{Extent, Shape, ShapeError, noise};

crate::uniform! {
    /// Largest activation of each `k x k` window, windows two apart; the last may stick out, only existing
    /// elements count (spec sections 2, 8).
    ///
    /// Reads `z: [n, c, z_h, z_w]` and `slope: [c]`; writes `y: [n, c, y_h, y_w]` and, of the same shape,
    /// `best`, the pre-activation of each window's first maximum in raster order, and `places`, that
    /// element's number in the window, row by row.
    pub struct PreluPool { n: u32, c: u32, k: u32, z_h: u32, z_w: u32, y_h: u32, y_w: u32 }
}

impl PreluPool {
    /// Of pre-activations `z`, one level; and the shape of the result.
    ///
    /// # Errors
    ///
    /// [`ShapeError`] if the result has no elements.
    ///
    /// # Panics
    ///
    /// If `k` is neither 2 nor 3: no net that is trained has such a pooling.
    pub fn new(z: &Shape, k: u32) -> Result<(Self, Shape), ShapeError> {
        assert!((2..=3).contains(&k), "pooling of {k} x {k} is not trained");
        let Extent { h, w } = z.levels()[0];
        let side = |size: u32| size.saturating_sub(k).div_ceil(2) + 1;
        let (y_h, y_w) = (side(h), side(w));
        Ok((Self { n: z.n(), c: z.c(), k, z_h: h, z_w: w, y_h, y_w }, Shape::new([z.n(), z.c(), y_h, y_w])?))
    }

    /// Side of a window.
    pub fn side(&self) -> u32 {
        self.k
    }

    fn planes(&self) -> [usize; 2] {
        [(self.z_h * self.z_w) as usize, (self.y_h * self.y_w) as usize]
    }

    /// The largest activation of a window of plane `z`, the first pre-activation that has it, and its number.
    fn first(&self, z: &[f32], slope: f32, window: u32) -> (f32, f32, u32) {
        let (row, column) = (window / self.y_w * 2, window % self.y_w * 2);
        let mut first = (f32::NEG_INFINITY, z[(row * self.z_w + column) as usize], 0);
        for i in row..(row + self.k).min(self.z_h) {
            for j in column..(column + self.k).min(self.z_w) {
                let v = z[(i * self.z_w + j) as usize];
                if prelu(v, slope) > first.0 {
                    first = (prelu(v, slope), v, (i - row) * self.k + j - column);
                }
            }
        }
        first
    }
}

impl Kernel for PreluPool {
    const NAME: &'static str = "prelu_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu_pool");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE, Binding::WRITE, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.y_h * self.y_w, together: 1, items: Some(self.n), rows: self.c }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn sizes(&self) -> Vec<usize> {
        let ([z, y], planes) = (self.planes(), (self.n * self.c) as usize);
        vec![planes * z, self.c as usize, planes * y, planes * y, planes * y]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [z, windows] = self.planes();
        let [y, best, places] = write else { unreachable!("checked when recorded") };
        for (plane, z) in read[0].chunks_exact(z).take((items * self.c) as usize).enumerate() {
            let slope = read[1][plane % self.c as usize];
            for window in 0..windows {
                let (largest, at_largest, place) = self.first(z, slope, window as u32);
                let at = plane * windows + window;
                (y[at], best[at], places[at]) = (largest, at_largest, f32::from_bits(place));
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, simd) = (self.planes(), self.c as usize, Simd::chosen());
        let [largest, best, places] = write else { unreachable!("checked when recorded") };
        let size = [self.z_h, self.z_w, self.y_h, self.y_w].map(|size| size as usize);
        let to = largest.chunks_exact_mut(y).zip(best.chunks_exact_mut(y)).zip(places.chunks_exact_mut(y));
        for (plane, (z, ((y, best), places))) in read[0].chunks_exact(z).zip(to).take(items as usize * c).enumerate() {
            let slope = read[1][plane % c];
            if self.k == 2 {
                simd.run(PoolPlaces::<2> { size, z, slope, y, best, places });
            } else {
                simd.run(PoolPlaces::<3> { size, z, slope, y, best, places });
            }
        }
    }

    fn apart(&self) -> Option<Vec<usize>> {
        let [z, y] = self.planes().map(|plane| plane * self.c as usize);
        (self.n > 1).then(|| vec![z, 0, y, y, y])
    }

    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        // The same product of two f32 on every engine.
        0.0
    }
}

/// Pre-activations and slopes of the shapes that are worth comparing, with the windows' side: first of many
/// values, then of few, so that many windows have several maxima, in every third plane none of them positive.
pub(super) fn cases() -> impl Iterator<Item = (Shape, u32, [Vec<f32>; 2])> {
    let shapes = [
        ([1, 1, 1, 1], 2),
        ([1, 1, 2, 2], 3),
        ([2, 3, 22, 22], 3),
        ([3, 10, 9, 13], 2),
        ([1, 2, 5, 32], 2),
        ([1, 2, 6, 32], 3),
        ([1, 4, 1, 5], 3),
        ([2, 7, 47, 70], 3),
        ([1, 2, 201, 65], 3),
        ([70, 5, 10, 10], 2),
    ];
    shapes.into_iter().flat_map(|(shape, k)| [false, true].map(|few| (shape, k, few))).map(|(shape, k, few)| {
        let shape = Shape::new(shape).expect("a valid sample");
        let mut z = noise(shape.elements() as usize, 1);
        if few {
            z.iter_mut().for_each(|v| *v = (*v * 3.0).round());
            z.chunks_exact_mut(shape.plane() as usize).step_by(3).flatten().for_each(|v| *v = -v.abs());
        }
        let mut slope = noise(shape.c() as usize, 2);
        slope.iter_mut().skip(1).zip([0.0, 1.0, -0.5]).for_each(|(slope, special)| *slope = special);
        (shape, k, [z, slope])
    })
}

impl Samples for PreluPool {
    fn samples() -> Vec<Sample<Self>> {
        let sample = |(z, k, read): (Shape, u32, [Vec<f32>; 2])| {
            let (kernel, _) = Self::new(&z, k).expect("a valid sample");
            Sample { kernel, read: read.to_vec() }
        };
        cases().map(sample).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&PreluPool, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn of_equal_activations_the_first_in_raster_order_is_found_and_never_a_nan() {
        let (kernel, _) = PreluPool::new(&Shape::new([1, 1, 2, 3]).unwrap(), 3).unwrap();
        let (nan, least) = (f32::NAN, f32::NEG_INFINITY);
        // Six elements and a slope; the largest activation, its pre-activation and its number.
        let cases = [
            ([1.0, 5.0, 2.0, 5.0, 5.0, 0.0], 0.5, (5.0, 5.0, 1)),
            ([-4.0, -2.0, -3.0, -2.0, -1.0, -1.0], 0.5, (-0.5, -1.0, 4)),
            ([-4.0, -2.0, -3.0, -2.0, -1.0, -1.0], 0.0, (-0.0, -4.0, 0)),
            ([-4.0, 0.0, -3.0, 2.0, -1.0, 2.0], 1.0, (2.0, 2.0, 3)),
            ([1.0, -3.0, 2.0, 3.0, -3.0, 0.0], -1.0, (3.0, -3.0, 1)),
            ([nan, nan, -1.0, nan, -1.0, -2.0], 0.5, (-0.5, -1.0, 2)),
            ([nan; 6], 0.5, (least, nan, 0)),
        ];
        for (z, slope, (largest, at_largest, number)) in cases {
            for play in [Kernel::reference as Play, Kernel::native as Play] {
                let [mut y, mut best, mut places] = [[nan]; 3];
                play(&kernel, 1, &[&z, &[slope]], &mut [&mut y, &mut best, &mut places]);
                let got = [y[0], best[0], places[0]].map(f32::to_bits);
                assert_eq!(got, [f32::to_bits(largest), f32::to_bits(at_largest), number], "{z:?}, slope {slope}");
            }
        }
    }
}
