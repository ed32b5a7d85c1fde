//! Dropout by counter-based random numbers.

use rayon::prelude::*;

use crate::kernels::together::BLOCK;
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `x[i] = kept(i) ? x[i] / (1 - rate) : 0` in place: forward over activations, backward over their gradient (spec section 8).
    ///
    /// Reads the step's schedule (see [`StepInputs`](crate::kernels::train::StepInputs)); rewrites `x: [len]`. `kept(i)` depends on seed, step
    /// and the place of `i` in the whole batch alone, so both directions see one mask, and a resumed run sees the masks of an uninterrupted one.
    pub struct Dropout { len: u32, each: u32, threshold: u32, scale: f32 }
}

impl Dropout {
    /// Over `n` items of `each` elements, of which the share `rate`, in `[0, 1)`, is dropped.
    pub fn new(n: u32, each: u32, rate: f64) -> Self {
        Self { len: n * each, each, threshold: (rate * 4_294_967_296.0) as u32, scale: (1.0 / (1.0 - rate)) as f32 }
    }
}

/// PCG-RXS-M-XS 32 (O'Neill 2014) as a hash; `shared/pcg.wgsl`.
fn pcg(value: u32) -> u32 {
    let state = value.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
    let word = ((state >> ((state >> 28) + 4)) ^ state).wrapping_mul(277_803_737);
    (word >> 22) ^ word
}

impl Kernel for Dropout {
    const NAME: &'static str = "dropout";
    const WGSL: &'static [&'static str] = wgsl!("nn/dropout", "shared/pcg", "shared/grid");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::folded(self.len)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![8, self.len as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [step, seed] = [read[0][0].to_bits(), read[0][1].to_bits()];
        let (stream, first) = (pcg(pcg(seed).wrapping_add(step)), read[0][5].to_bits() * self.each);
        for (i, x) in (0..self.len).zip(write[0].iter_mut()) {
            *x = if pcg(stream.wrapping_add(first + i)) >= self.threshold { *x * self.scale } else { 0.0 };
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [step, seed] = [read[0][0].to_bits(), read[0][1].to_bits()];
        let stream = pcg(pcg(seed).wrapping_add(step)).wrapping_add(read[0][5].to_bits() * self.each);
        let (threshold, scale) = (self.threshold, self.scale);
        write[0][..self.len as usize].par_chunks_mut(BLOCK).enumerate().for_each(|(block, x)| {
            let first = stream.wrapping_add((block * BLOCK) as u32);
            for (i, x) in (0..x.len() as u32).zip(x) {
                let kept = pcg(first.wrapping_add(i)) >= threshold;
                *x = if kept { *x * scale } else { 0.0 };
            }
        });
    }

    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        largest(&[self.scale]) * f32::EPSILON
    }
}

impl Samples for Dropout {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 0.25, 0, 0), (77, 0.5, 3, 9), (13_337, 0.25, 1_000_000, 7), (65, 0.0, 5, 5)]
            .map(|(each, rate, step, seed)| Sample { kernel: Self::new(3, each, rate), read: vec![words([step, seed, 0, 0, 0, 7, 0, 0])] })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(step: u32, seed: u32) -> Vec<f32> {
        let mut x = vec![1.0; 40_000];
        let kernel = Dropout::new(1, x.len() as u32, 0.25);
        Kernel::reference(&kernel, 1, &[&words([step, seed, 0, 0, 0, 0, 0, 0])], &mut [&mut x]);
        x
    }

    #[test]
    fn a_quarter_is_dropped_and_the_mean_stays() {
        let x = mask(3, 5);
        let dropped = x.iter().filter(|x| **x == 0.0).count();
        // Five standard deviations of a binomial distribution.
        assert!(dropped.abs_diff(10_000) < 5 * 87, "{dropped}");
        assert!(x.iter().all(|x| *x == 0.0 || (*x - 4.0 / 3.0).abs() < 1e-6));
        assert_eq!(x, mask(3, 5));
    }

    #[test]
    fn masks_of_other_steps_and_seeds_are_independent() {
        let first = mask(3, 5);
        for other in [mask(4, 5), mask(3, 6), mask(5, 3)] {
            let both = first.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
            assert!(both.abs_diff(2_500) < 5 * 49, "{both}");
        }
    }
}
