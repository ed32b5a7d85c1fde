//! Online hard sample mining.

use super::{LossTask, SampleBits, sample_kinds, sample_losses};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `scale[n] = weight / K` for the `K = max(1, ⌊keep N⌋)` samples of largest loss among the `N` that have the task, ties by index;
    /// exactly 0 for the others (spec section 4.4).
    ///
    /// Reads the task's row of `losses: [3, n]` and `kinds: [n]`; writes its row of `scales: [3, n]`.
    pub struct Mine { n: u32, task: u32, keep: u32, weight: f32 }
}

impl Mine {
    /// Keeps the share `keep`, in `[0, 1]`, of the samples that have `task`; 1 keeps all. Gradients are multiplied by `weight`.
    pub fn new(task: LossTask, n: u32, keep: f64, weight: f32) -> Self {
        Self { n, task: task.index(), keep: (keep * 10_000.0).round() as u32, weight }
    }
}

impl Kernel for Mine {
    const NAME: &'static str = "mine";
    const WGSL: &'static [&'static str] = wgsl!("train/mine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let n = self.n as usize;
        vec![3 * n, n, 3 * n]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let n = self.n as usize;
        let losses = &read[0][self.task as usize * n..][..n];
        let pool: Vec<usize> = (0..n).filter(|&i| SampleBits(read[1][i].to_bits()).0 >> self.task & 1 != 0).collect();
        let kept = (pool.len() * self.keep as usize / 10_000).max(1);
        for (i, scale) in write[0][self.task as usize * n..][..n].iter_mut().enumerate() {
            let before = |&&j: &&usize| losses[j] > losses[i] || (losses[j] == losses[i] && j < i);
            let mine = pool.contains(&i) && pool.iter().filter(before).count() < kept;
            *scale = if mine { self.weight / kept as f32 } else { 0.0 };
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let n = self.n as usize;
        let losses = &read[0][self.task as usize * n..][..n];
        let mut pool: Vec<usize> = (0..n).filter(|&i| SampleBits(read[1][i].to_bits()).0 >> self.task & 1 != 0).collect();
        let kept = (pool.len() * self.keep as usize / 10_000).max(1);
        let scales = &mut write[0][self.task as usize * n..][..n];
        scales.fill(0.0);
        // Stable: equal losses stay in the order of their places.
        pool.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
        pool.iter().take(kept).for_each(|&i| scales[i] = self.weight / kept as f32);
    }

    /// WGSL allows a division 2.5 ulp.
    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        3.0 * self.weight * f32::EPSILON
    }
}

impl Samples for Mine {
    fn samples() -> Vec<Sample<Self>> {
        [(LossTask::Class, 1, 0.7), (LossTask::Class, 65, 0.7), (LossTask::Box, 300, 1.0), (LossTask::Landmarks, 1000, 0.35)]
            .map(|(task, n, keep)| Sample {
                kernel: Self::new(task, n, keep, 0.5),
                read: vec![sample_losses(n as usize), sample_kinds(n as usize)],
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::words;

    type Play = fn(&Mine, u32, &[&[f32]], &mut [&mut [f32]]);

    fn kept(losses: &[f32], kinds: &[SampleBits], keep: f64, weight: f32) -> Vec<f32> {
        let (n, kinds) = (losses.len(), words(kinds.iter().map(|kind| kind.0)));
        let mut rows = losses.to_vec();
        rows.resize(3 * n, f32::NAN);
        let [twin, native] = [Kernel::reference as Play, Kernel::native as Play].map(|play| {
            let mut scales = vec![f32::NAN; 3 * n];
            play(&Mine::new(LossTask::Class, n as u32, keep, weight), 1, &[&rows, &kinds], &mut [&mut scales]);
            scales[..n].to_vec()
        });
        assert_eq!(twin, native);
        twin
    }

    #[test]
    fn the_worked_example_of_the_specification() {
        let losses = [0.9, 0.1, 0.5, 0.5, 0.05, 2.0, 0.3, 0.7, 0.2, 0.6];
        let scales = kept(&losses, &[SampleBits::NEGATIVE; 10], 0.7, 1.0);
        let indices: Vec<usize> = (0..10).filter(|&i| scales[i] != 0.0).collect();
        assert_eq!(indices, [0, 2, 3, 5, 6, 7, 9]);
        let mean: f32 = losses.iter().zip(&scales).map(|(loss, scale)| loss * scale).sum();
        assert!((mean - 0.785_714).abs() < 1e-6, "{mean}");
    }

    #[test]
    fn only_samples_with_the_task_are_ranked_and_ties_go_by_index() {
        let kinds = [SampleBits::PART, SampleBits::NEGATIVE, SampleBits::POSITIVE, SampleBits::LANDMARKS, SampleBits::NEGATIVE];
        assert_eq!(kept(&[9.0, 0.5, 0.5, 9.0, 0.5], &kinds, 0.7, 1.0), [0.0, 0.5, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn one_sample_is_kept_however_few_there_are_and_none_of_none() {
        assert_eq!(kept(&[0.1, 3.0], &[SampleBits::NEGATIVE, SampleBits::PART], 0.7, 2.0), [2.0, 0.0]);
        assert_eq!(kept(&[0.1, 3.0], &[SampleBits::PART, SampleBits::PART], 0.7, 2.0), [0.0, 0.0]);
    }

    #[test]
    fn the_share_is_not_rounded_down_twice() {
        for n in 1..=1024_u32 {
            let scales = kept(&vec![1.0; n as usize], &vec![SampleBits::NEGATIVE; n as usize], 0.7, 1.0);
            assert_eq!(scales.iter().filter(|scale| **scale != 0.0).count() as u32, (n * 7 / 10).max(1));
        }
    }
}
