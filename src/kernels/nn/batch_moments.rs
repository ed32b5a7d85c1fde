//! Mean and variance of a batch, from those of slabs.

use super::BatchStatistics;
use crate::kernels::together::sum_of;
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, noise};

crate::uniform! {
    /// `mean = Σ_s count[s] mean[s] / M` and `variance = Σ_s count[s] (variance[s] + (mean[s] - mean)²) / M`
    /// of each channel: those of the whole batch, the variance biased (Chan and others 1979).
    ///
    /// Reads `partial: [c, 2, slabs]` of [`BatchStatistics`]; writes `mean: [c]` and `variance: [c]`.
    pub struct BatchMoments { c: u32, places: u32, slabs: u32 }
}

impl BatchMoments {
    /// Of what `statistics` left of activations of `shape`.
    pub fn new(statistics: &BatchStatistics, shape: &Shape) -> Self {
        Self { c: shape.c(), places: shape.n() * shape.plane(), slabs: statistics.slabs() }
    }

    /// Places of slab `s`.
    fn count(&self, s: usize) -> usize {
        (self.places as usize - 1 - s) / self.slabs as usize + 1
    }
}

impl Kernel for BatchMoments {
    const NAME: &'static str = "batch_moments";
    const WGSL: &'static [&'static str] = wgsl!("nn/batch_moments", "shared/grid", "shared/total");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::WRITE, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.c * 64)
    }

    fn sizes(&self) -> Vec<usize> {
        let c = self.c as usize;
        vec![2 * c * self.slabs as usize, c, c]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (slabs, places) = (self.slabs as usize, f64::from(self.places));
        for channel in 0..self.c as usize {
            let (means, variances) = read[0][2 * channel * slabs..][..2 * slabs].split_at(slabs);
            let total = |value: &dyn Fn(usize) -> f64| (0..slabs).map(|s| self.count(s) as f64 * value(s)).sum::<f64>() / places;
            let mean = total(&|s| f64::from(means[s]));
            write[0][channel] = mean as f32;
            write[1][channel] = total(&|s| f64::from(variances[s]) + (f64::from(means[s]) - mean).powi(2)) as f32;
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let slabs = self.slabs as usize;
        let [mean, variance] = write else { unreachable!("checked when recorded") };
        let channels = read[0].chunks_exact(2 * slabs).zip(mean.iter_mut()).zip(variance.iter_mut());
        for ((rows, mean), variance) in channels.take(self.c as usize) {
            let (means, variances) = rows.split_at(slabs);
            let share = |s: usize| self.count(s) as f32 / self.places as f32;
            let middle = means[0] + sum_of(slabs, |s| share(s) * (means[s] - means[0]));
            let spread = |s: usize| variances[s] + (means[s] - middle) * (means[s] - middle);
            (*mean, *variance) = (middle, sum_of(slabs, |s| share(s) * spread(s)));
        }
    }

    /// Weighted means, so that a sum is at most its largest term: a difference of two means, or a variance
    /// and such a difference squared.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let (terms, most) = (self.slabs.div_ceil(16) + 16, largest(&read[0][..self.sizes()[0]]));
        terms as f32 * (3.0 * most + 4.0 * most * most) * f32::EPSILON
    }
}

impl Samples for BatchMoments {
    fn samples() -> Vec<Sample<Self>> {
        [[1, 1, 1, 2], [3, 5, 1, 1], [70, 33, 1, 3], [9, 3, 50, 41], [70, 2, 31, 33]]
            .map(|nchw| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let statistics = BatchStatistics::new(&shape).expect("more than one element a channel");
                let mut partial = noise(statistics.partials() as usize, 1);
                let slabs = statistics.slabs() as usize;
                partial.chunks_mut(slabs).skip(1).step_by(2).flatten().for_each(|variance| *variance = variance.abs());
                Sample { kernel: Self::new(&statistics, &shape), read: vec![partial] }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play<K> = fn(&K, u32, &[&[f32]], &mut [&mut [f32]]);

    fn moments(shape: &Shape, x: &[f32], play: Play<BatchStatistics>, join: Play<BatchMoments>) -> [Vec<f32>; 2] {
        let statistics = BatchStatistics::new(shape).unwrap();
        let mut partial = vec![f32::NAN; statistics.partials() as usize];
        play(&statistics, 1, &[x], &mut [&mut partial]);
        let [mut mean, mut variance] = [1, 2].map(|_| vec![f32::NAN; shape.c() as usize]);
        join(&BatchMoments::new(&statistics, shape), 1, &[&partial], &mut [&mut mean, &mut variance]);
        [mean, variance]
    }

    #[test]
    fn mean_and_variance_are_those_of_the_whole_channel_however_large_the_mean_is() {
        let shape = Shape::new([70, 3, 9, 11]).unwrap();
        let x: Vec<f32> = noise(shape.elements() as usize, 1).iter().map(|x| 1000.0 + x).collect();
        for (play, join) in [
            (Kernel::reference as Play<BatchStatistics>, Kernel::reference as Play<BatchMoments>),
            (Kernel::native as Play<BatchStatistics>, Kernel::native as Play<BatchMoments>),
        ] {
            let [mean, variance] = moments(&shape, &x, play, join);
            for channel in 0..3 {
                let planes = x.chunks(99).skip(channel).step_by(3).flatten().map(|x| f64::from(*x));
                let middle = planes.clone().sum::<f64>() / 6930.0;
                let spread = planes.map(|x| (x - middle).powi(2)).sum::<f64>() / 6930.0;
                assert!((f64::from(mean[channel]) - middle).abs() < 2e-4, "{} for {middle}", mean[channel]);
                assert!((f64::from(variance[channel]) - spread).abs() < 1e-5, "{} for {spread}", variance[channel]);
            }
        }
    }
}
