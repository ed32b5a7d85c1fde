//! PReLU as a layer of its own: training keeps the pre-activations, so it cannot be fused into the layer
//! before.

use super::prelu;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `y = x > 0 ? x : slope[c] x` (spec section 8).
    ///
    /// Reads `x: [n, c, plane]` and `slope: [c]`; writes `y: [n, c, plane]`.
    pub struct Prelu { n: u32, c: u32, plane: u32 }
}

impl Prelu {
    /// Creates the kernel for activations of `shape`.
    pub fn new(shape: &Shape) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane() }
    }
}

impl Kernel for Prelu {
    const NAME: &'static str = "prelu";
    const WGSL: &'static [&'static str] = wgsl!("nn/prelu");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.plane, together: 1, items: Some(self.n), rows: self.c }
    }

    fn sizes(&self) -> Vec<usize> {
        let len = (self.n * self.c * self.plane) as usize;
        vec![len, self.c as usize, len]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let len = (items * self.c * self.plane) as usize;
        for (i, (y, x)) in write[0][..len].iter_mut().zip(read[0]).enumerate() {
            let slope = read[1][i / self.plane as usize % self.c as usize];
            *y = prelu(f64::from(*x), f64::from(slope)) as f32;
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (c, plane) = (self.c as usize, self.plane as usize);
        let items = read[0].chunks_exact(c * plane).zip(write[0].chunks_exact_mut(c * plane)).take(items as usize);
        Simd::chosen().run(Plain(|| {
            for (x, y) in items {
                if plane == 1 {
                    x.iter().zip(&read[1][..c]).zip(y).for_each(|((x, a), y)| *y = if *x > 0.0 { *x } else { a * x });
                } else {
                    for ((x, a), y) in x.chunks_exact(plane).zip(read[1]).zip(y.chunks_exact_mut(plane)) {
                        let a = *a;
                        x.iter().zip(y).for_each(|(x, y)| *y = if *x > 0.0 { *x } else { a * x });
                    }
                }
            }
        }));
    }

    fn apart(&self) -> Option<Vec<usize>> {
        let item = (self.c * self.plane) as usize;
        (self.n > 1).then(|| vec![item, 0, item])
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        largest(read[0]) * largest(read[1]).max(1.0) * f32::EPSILON
    }
}

/// Shapes of activations used as test cases.
pub(super) const SHAPES: [[u32; 4]; 5] = [[1, 1, 1, 1], [3, 5, 1, 1], [2, 10, 5, 7], [70, 33, 1, 1], [2, 3, 67, 65]];

impl Samples for Prelu {
    fn samples() -> Vec<Sample<Self>> {
        SHAPES
            .map(|shape| {
                let shape = Shape::new(shape).expect("a valid sample");
                let read = vec![noise(shape.elements() as usize, 1), noise(shape.c() as usize, 2)];
                Sample { kernel: Self::new(&shape), read }
            })
            .to_vec()
    }
}
