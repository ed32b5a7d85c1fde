//! Adds the product of an activation and a factor.

use super::broadcast::{Broadcast, Factors};
use super::prelu::SHAPES;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `y += scale x factor`: the gradient of the activation in [`Multiply`](super::Multiply), `x` being that
    /// of the product; and products that are added up.
    ///
    /// Reads `x: [n, c, plane]` and `factor: [n, c, plane]`, `[n, c]` or `[n, plane]`; adds to
    /// `y: [n, c, plane]`.
    pub struct MultiplyAdd { n: u32, c: u32, plane: u32, over: u32, scale: f32 }
}

impl MultiplyAdd {
    /// Over activations of `shape`.
    pub fn new(shape: &Shape, over: Broadcast, scale: f32) -> Self {
        Self { n: shape.n(), c: shape.c(), plane: shape.plane(), over: over as u32, scale }
    }

    fn factors(&self) -> Factors {
        Factors { n: self.n, c: self.c, plane: self.plane, over: Broadcast::from_index(self.over) }
    }
}

impl Kernel for MultiplyAdd {
    const NAME: &'static str = "multiply_add";
    const WGSL: &'static [&'static str] = wgsl!("nn/multiply_add", "shared/grid", "shared/broadcast");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.n * self.c * self.plane)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.factors().elements(), self.factors().len(), self.factors().elements()]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let factors = self.factors();
        for (i, y) in write[0][..factors.elements()].iter_mut().enumerate() {
            *y = (f64::from(*y) + f64::from(self.scale) * f64::from(read[0][i]) * f64::from(read[1][factors.of(i)])) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let scale = self.scale;
        self.factors().for_each(read[0], read[1], write[0], |y, x, factor| *y += scale * x * factor);
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        (1.0 + 3.0 * self.scale.abs() * largest(read[0]) * largest(read[1])) * f32::EPSILON
    }
}

impl Samples for MultiplyAdd {
    fn samples() -> Vec<Sample<Self>> {
        let shapes = SHAPES.map(|shape| Shape::new(shape).expect("a valid sample"));
        let cases = shapes.iter().flat_map(|shape| Broadcast::ALL.map(|over| (shape, over)));
        cases
            .map(|(shape, over)| {
                let read = vec![noise(shape.elements() as usize, 1), noise(over.len(shape) as usize, 2)];
                Sample { kernel: Self::new(shape, over, 0.5), read }
            })
            .collect()
    }
}
