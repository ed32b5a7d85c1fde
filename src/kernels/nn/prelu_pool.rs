//! PReLU and max pooling in one pass: training keeps the pre-activations alone.

use super::prelu;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{PoolPlane, Simd};
use crate::tensor::{Extent, Shape, ShapeError, noise};

crate::uniform! {
    /// Largest activation of each `k x k` window, windows two apart; the last may stick out, only existing elements count (spec sections 2, 8).
    ///
    /// Reads `z: [n, c, z_h, z_w]` and `slope: [c]`; writes `y: [n, c, y_h, y_w]`.
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
}

impl Kernel for PreluPool {
    const NAME: &'static str = "prelu_pool";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu_pool");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.y_h * self.y_w, together: 1, items: Some(self.n), rows: self.c }
    }

    fn overrides(&self) -> Vec<(&'static str, f64)> {
        vec![("K", f64::from(self.k))]
    }

    fn sizes(&self) -> Vec<usize> {
        let [z, y] = self.planes();
        let planes = (self.n * self.c) as usize;
        vec![planes * z, self.c as usize, planes * y]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [z, y] = self.planes();
        let planes = read[0].chunks_exact(z).zip(write[0].chunks_exact_mut(y)).take((items * self.c) as usize);
        for (at, (z, y)) in planes.enumerate() {
            let slope = read[1][at % self.c as usize];
            for (window, y) in y.iter_mut().enumerate() {
                let [row, column] = [window as u32 / self.y_w * 2, window as u32 % self.y_w * 2];
                let rows = row..(row + self.k).min(self.z_h);
                let places = rows.flat_map(|i| (column..(column + self.k).min(self.z_w)).map(move |j| i * self.z_w + j));
                let values = places.map(|place| prelu(z[place as usize], slope));
                *y = values.fold(f32::NEG_INFINITY, |best, v| if v > best { v } else { best });
            }
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let ([z, y], c, simd) = (self.planes(), self.c as usize, Simd::chosen());
        let (width, y_w, side) = (self.z_w as usize, self.y_w as usize, self.k as usize);
        let items = read[0].chunks_exact(z * c).zip(write[0].chunks_exact_mut(y * c)).take(items as usize);
        for (x, to) in items {
            for ((x, slope), y) in x.chunks_exact(z).zip(read[1]).zip(to.chunks_exact_mut(y)) {
                simd.run(PoolPlane { x, width, slope: *slope, side, y, y_w });
            }
        }
    }

    fn apart(&self) -> Option<Vec<usize>> {
        let [z, y] = self.planes().map(|plane| plane * self.c as usize);
        (self.n > 1).then(|| vec![z, 0, y])
    }

    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        // The same product of two f32 on every engine.
        0.0
    }
}

/// Shapes of pre-activations that are worth comparing, with the windows' side.
pub(super) const CASES: [([u32; 4], u32); 8] = [
    ([1, 1, 1, 1], 2),
    ([1, 1, 2, 2], 3),
    ([2, 3, 22, 22], 3),
    ([3, 10, 9, 13], 2),
    ([1, 2, 5, 32], 2),
    ([1, 2, 6, 32], 3),
    ([1, 2, 201, 65], 3),
    ([70, 5, 10, 10], 2),
];

impl Samples for PreluPool {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .into_iter()
            .map(|(shape, k)| {
                let z = Shape::new(shape).expect("a valid sample");
                let (kernel, _) = Self::new(&z, k).expect("a valid sample");
                Sample { kernel, read: vec![noise(z.elements() as usize, 1), noise(z.c() as usize, 2)] }
            })
            .collect()
    }
}
