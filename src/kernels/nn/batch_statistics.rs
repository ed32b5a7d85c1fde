//! Mean and variance of a batch, slab by slab.

use rayon::prelude::*;

use super::Slabs;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Plain, Simd};
use crate::tensor::{Shape, ShapeError, noise};

crate::uniform! {
    /// Mean and biased variance of every slab of every channel, for [`BatchMoments`](super::BatchMoments) to
    /// put together.
    ///
    /// Reads `x: [n, c, plane]`; writes `partial: [c, 2, slabs]`, means before variances. Slab `s` is every
    /// `slabs`-th place of a channel, from `s` on, all items end to end.
    pub struct BatchStatistics { n: u32, c: u32, plane: u32, slabs: u32 }
}

impl BatchStatistics {
    /// Of activations of `shape`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Alone`] if a channel is one element: a batch of one has no variance.
    pub fn new(shape: &Shape) -> Result<Self, ShapeError> {
        if shape.n() * shape.plane() == 1 {
            return Err(ShapeError::Alone { c: shape.c() });
        }
        Ok(Self { n: shape.n(), c: shape.c(), plane: shape.plane(), slabs: Slabs::number(shape) })
    }

    /// Slabs of a channel.
    pub fn slabs(&self) -> u32 {
        self.slabs
    }

    /// Elements of `partial`.
    pub fn partials(&self) -> u32 {
        2 * self.c * self.slabs
    }

    fn layout(&self) -> Slabs {
        Slabs::new([self.n, self.c, self.plane, self.slabs])
    }
}

impl Kernel for BatchStatistics {
    const NAME: &'static str = "batch_statistics";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_statistics");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.c, ..Work::linear(self.slabs) }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.n * self.c * self.plane) as usize, self.partials() as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let layout = self.layout();
        for (channel, rows) in write[0].chunks_mut(2 * layout.count()).take(self.c as usize).enumerate() {
            let (means, variances) = rows.split_at_mut(layout.count());
            for (slab, (mean, variance)) in means.iter_mut().zip(variances).enumerate() {
                let values = layout.elements(channel, slab).map(|i| f64::from(read[0][i]));
                let count = layout.len(slab) as f64;
                let middle = values.clone().sum::<f64>() / count;
                *mean = middle as f32;
                *variance = (values.map(|value| (value - middle).powi(2)).sum::<f64>() / count) as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (layout, simd, x) = (self.layout(), Simd::chosen(), read[0]);
        let count = layout.count();
        let channels = write[0][..self.partials() as usize].par_chunks_exact_mut(2 * count).enumerate();
        channels.for_each_init(
            || vec![0.0_f32; count],
            |pivots, (channel, rows)| {
                pivots.iter_mut().enumerate().for_each(|(slab, pivot)| *pivot = x[layout.element(channel, slab)]);
                rows.fill(0.0);
                let (sums, squares) = rows.split_at_mut(count);
                simd.run(Plain(|| {
                    layout.runs(channel, |at, slab, len| {
                        let sums = sums[slab..][..len].iter_mut().zip(&mut squares[slab..][..len]);
                        for ((x, pivot), (sum, square)) in x[at..][..len].iter().zip(&pivots[slab..][..len]).zip(sums) {
                            let d = x - pivot;
                            *sum += d;
                            *square += d * d;
                        }
                    });
                }));
                for (slab, (sum, square)) in sums.iter_mut().zip(squares).enumerate() {
                    let len = layout.len(slab) as f32;
                    let mean = *sum / len;
                    let variance = *square / len - mean * mean;
                    (*sum, *square) = (pivots[slab] + mean, if variance < 0.0 { 0.0 } else { variance });
                }
            },
        );
    }

    /// Terms lie at most `r`, the range of `x`, from a slab's first element; squares have one sign, so that
    /// their sum stands for the largest.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let x = &read[0][..self.sizes()[0]];
        let (low, high) = x.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(*x), high.max(*x)));
        let (range, terms) = (high - low, (self.layout().terms() + 4) as f32);
        (terms * range.max(range * range) + low.abs().max(high.abs())) * f32::EPSILON
    }
}

impl Samples for BatchStatistics {
    fn samples() -> Vec<Sample<Self>> {
        // The last one's mean is far larger than its deviation.
        let cases = [([1, 1, 1, 2], 0.0), ([3, 5, 1, 1], 0.0), ([2, 10, 5, 7], 1.0), ([130, 33, 1, 1], 0.0), ([70, 3, 9, 11], 500.0)];
        cases
            .into_iter()
            .map(|(nchw, mean)| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let x = noise(shape.elements() as usize, 1).iter().map(|x| x + mean).collect();
                Sample { kernel: Self::new(&shape).expect("more than one element a channel"), read: vec![x] }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_of_one_element_a_channel_is_refused() {
        let error = BatchStatistics::new(&Shape::new([1, 8, 1, 1]).unwrap()).unwrap_err();
        assert_eq!(error, ShapeError::Alone { c: 8 });
        assert!(error.to_string().contains("at least two"), "{error}");
    }
}
