//! Gradient of a factor.

use rayon::prelude::*;

use super::broadcast::Broadcast;
use super::prelu::SHAPES;
use crate::kernels::together::{BLOCK, sum_of};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, ShapeError, noise};

crate::uniform! {
    /// `dfactor += scale Σ x dy` over the elements that a factor is the same for: the gradient of the factor
    /// in
    /// [`Multiply`](super::Multiply).
    ///
    /// Reads `x` and `dy: [n, c, plane]`; adds to `dfactor: [n, c, plane]`, `[n, c]` or `[n, plane]`.
    pub struct MultiplySum { outer: u32, terms: u32, inner: u32, scale: f32 }
}

impl MultiplySum {
    /// Over activations of `shape`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::TooManyTerms`] if a factor is shared by more elements than one invocation may sum.
    pub fn new(shape: &Shape, over: Broadcast, scale: f32) -> Result<Self, ShapeError> {
        let [outer, terms, inner] = match over {
            Broadcast::Elements => [1, 1, shape.elements()],
            Broadcast::Channels => [shape.n() * shape.c(), shape.plane(), 1],
            Broadcast::Places => [shape.n(), shape.c(), shape.plane()],
        };
        ShapeError::check_terms(terms)?;
        Ok(Self { outer, terms, inner, scale })
    }
}

impl Kernel for MultiplySum {
    const NAME: &'static str = "multiply_sum";
    const WGSL: &'static [&'static str] = wgsl!("nn/multiply_sum", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.outer * self.inner)
    }

    fn sizes(&self) -> Vec<usize> {
        let factor = (self.outer * self.inner) as usize;
        vec![factor * self.terms as usize, factor * self.terms as usize, factor]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (terms, inner) = (self.terms as usize, self.inner as usize);
        for (i, dfactor) in write[0][..self.sizes()[2]].iter_mut().enumerate() {
            let elements = (0..terms).map(|k| (i / inner * terms + k) * inner + i % inner);
            let sum: f64 = elements.map(|at| f64::from(read[0][at]) * f64::from(read[1][at])).sum();
            *dfactor = (f64::from(*dfactor) + f64::from(self.scale) * sum) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (terms, inner) = (self.terms as usize, self.inner as usize);
        let dfactor = &mut write[0][..self.sizes()[2]];
        if inner == 1 {
            dfactor.par_iter_mut().with_min_len((BLOCK / terms).max(1)).enumerate().for_each(|(i, dfactor)| {
                let [x, dy] = [0, 1].map(|k| &read[k][i * terms..][..terms]);
                *dfactor += self.scale * sum_of(terms, |k| x[k] * dy[k]);
            });
            return;
        }
        // A piece of a row of factors at a time, while rows of terms go by; its sums stay in cache.
        const PIECE: usize = 1024;
        let pieces = dfactor.par_chunks_mut(inner).enumerate().flat_map(|(outer, row)| {
            row.par_chunks_mut(PIECE).enumerate().map(move |(piece, dfactor)| (outer * terms * inner + piece * PIECE, dfactor))
        });
        pieces.for_each(|(first, dfactor)| {
            let mut sums = [0.0_f32; PIECE];
            for k in 0..terms {
                let [x, dy] = [0, 1].map(|slot| &read[slot][first + k * inner..][..dfactor.len()]);
                sums.iter_mut().zip(x).zip(dy).for_each(|((sum, x), dy)| *sum += x * dy);
            }
            dfactor.iter_mut().zip(sums).for_each(|(dfactor, sum)| *dfactor += self.scale * sum);
        });
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let terms = (self.terms + 3) as f32;
        (1.0 + terms * self.scale.abs() * largest(read[0]) * largest(read[1])) * f32::EPSILON
    }
}

impl Samples for MultiplySum {
    fn samples() -> Vec<Sample<Self>> {
        let shapes = SHAPES.map(|shape| Shape::new(shape).expect("a valid sample"));
        let cases = shapes.iter().flat_map(|shape| Broadcast::ALL.map(|over| (shape, over)));
        cases
            .map(|(shape, over)| {
                let read = [1, 2].map(|seed| noise(shape.elements() as usize, seed)).to_vec();
                Sample { kernel: Self::new(shape, over, 0.5).expect("few terms"), read }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_longer_than_a_loop_may_be_is_refused() {
        let wide = Shape::new([1, 2, 300, 201]).unwrap();
        assert_eq!(MultiplySum::new(&wide, Broadcast::Channels, 1.0), Err(ShapeError::TooManyTerms { terms: 60_300 }));
        assert!(MultiplySum::new(&wide, Broadcast::Places, 1.0).is_ok());
    }
}
