//! Means and variances that batch norm uses when it no longer learns.

use super::Status;
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::{Shape, ShapeError, noise};

crate::uniform! {
    /// `running = (1 - momentum) running + momentum batch`, with the unbiased variance of the batch, as
    /// PyTorch does it.
    ///
    /// Reads `mean` and `variance: [c]` of the batch ([`BatchMoments`](crate::kernels::nn::BatchMoments)) and
    /// the [`Status`], after a fault in which nothing is updated; updates `running_mean` and
    /// `running_variance: [c]`.
    pub struct RunningStatistics { c: u32, momentum: f32, unbiased: f32 }
}

impl RunningStatistics {
    /// Of activations of `shape`.
    ///
    /// # Errors
    ///
    /// [`ShapeError::Alone`] if a channel is one element.
    pub fn new(shape: &Shape, momentum: f64) -> Result<Self, ShapeError> {
        let places = f64::from(shape.n() * shape.plane());
        if places < 2.0 {
            return Err(ShapeError::Alone { c: shape.c() });
        }
        Ok(Self { c: shape.c(), momentum: momentum as f32, unbiased: (places / (places - 1.0)) as f32 })
    }
}

impl Kernel for RunningStatistics {
    const NAME: &'static str = "running_statistics";
    const WGSL: &'static [&'static str] = wgsl!("train/running_statistics", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ, Binding::READ_U32, Binding::UPDATE, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.c)
    }

    fn sizes(&self) -> Vec<usize> {
        let c = self.c as usize;
        vec![c, c, Status::WORDS, c, c]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        if Status::read(read[2]).fault != 0 {
            return;
        }
        let (wide, momentum) = (f64::from, f64::from(self.momentum));
        for (k, factor) in [(0, 1.0), (1, wide(self.unbiased))] {
            for (running, batch) in write[k].iter_mut().zip(read[k]).take(self.c as usize) {
                *running = ((1.0 - momentum) * wide(*running) + momentum * factor * wide(*batch)) as f32;
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        if Status::read(read[2]).fault != 0 {
            return;
        }
        for (k, factor) in [(0, 1.0), (1, self.unbiased)] {
            let (keep, add) = (1.0 - self.momentum, self.momentum * factor);
            write[k].iter_mut().zip(read[k]).take(self.c as usize).for_each(|(running, batch)| *running = keep * *running + add * batch);
        }
    }

    /// Running values of at most 1, as samples have them; four roundings.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        4.0 * (1.0 + self.momentum * self.unbiased * largest(read[0]).max(largest(read[1]))) * f32::EPSILON
    }
}

impl Samples for RunningStatistics {
    fn samples() -> Vec<Sample<Self>> {
        [([1, 1, 1, 2], 0.1, 0), ([3, 65, 5, 5], 0.01, 0), ([2, 500, 1, 1], 0.1, 0), ([2, 7, 1, 1], 0.1, 1)]
            .map(|(nchw, momentum, fault)| {
                let shape = Shape::new(nchw).expect("a valid sample");
                let kernel = Self::new(&shape, momentum).expect("more than one element a channel");
                let variance = noise(shape.c() as usize, 2).iter().map(|v| v.abs()).collect();
                Sample { kernel, read: vec![noise(shape.c() as usize, 1), variance, words([fault, 0, 0, 0])] }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&RunningStatistics, u32, &[&[f32]], &mut [&mut [f32]]);

    #[test]
    fn three_elements_worked_out_by_hand() {
        // x = 1, 2, 4: mean 7/3, biased variance 14/9.
        let kernel = RunningStatistics::new(&Shape::new([3, 1, 1, 1]).unwrap(), 0.1).unwrap();
        for play in [Kernel::reference as Play, Kernel::native as Play] {
            let (mut mean, mut variance) = (vec![0.0], vec![1.0]);
            play(&kernel, 1, &[&[7.0 / 3.0], &[14.0 / 9.0], &words([0; 4])], &mut [&mut mean, &mut variance]);
            assert!((mean[0] - 0.233_333).abs() < 1e-6 && (variance[0] - 1.133_333).abs() < 1e-6, "{mean:?} {variance:?}");
            play(&kernel, 1, &[&[f32::NAN], &[f32::NAN], &words([1, 0, 0, 0])], &mut [&mut mean, &mut variance]);
            assert!(mean[0].is_finite() && variance[0].is_finite(), "a fault leaves them alone");
        }
        assert_eq!(RunningStatistics::new(&Shape::new([1, 4, 1, 1]).unwrap(), 0.1), Err(ShapeError::Alone { c: 4 }));
    }
}
