//! Online hard sample mining.

use super::{LossTask, SampleBits, sample_kinds, sample_losses};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `scale[n] = weight / K` for the `K = max(1, ⌊keep N⌋)` samples of largest loss among the `N` that have the task, ties by index;
    /// exactly 0 for the others (spec section 4.4). Of every task in one go.
    ///
    /// Reads `losses: [tasks, n]`, `kinds: [n]` and a [`MiningRule`] for each task; writes `scales: [tasks, n]` and behind them a row that has 1
    /// for samples of the first task, kept or not, and 0 for the others.
    pub struct Mine { n: u32, tasks: u32 }
}

/// How the samples of a task are mined.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct MiningRule {
    /// Share that is kept, in ten-thousandths: an integer, so that every device finds the same K.
    pub keep: u32,
    /// Of the task.
    pub weight: f32,
}

impl MiningRule {
    /// Four-byte words.
    pub const WORDS: usize = 2;

    /// Keeps the share `keep`, in `[0, 1]`, of the samples that have the task; 1 keeps all. Gradients are multiplied by `weight`.
    pub fn new(keep: f64, weight: f32) -> Self {
        Self { keep: (keep * 10_000.0).round() as u32, weight }
    }

    /// The rules in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }

    /// Rules as the words of a table.
    pub fn words(rules: &[Self]) -> Vec<u32> {
        bytemuck::cast_slice(rules).to_vec()
    }
}

impl Mine {
    /// Of `n` samples, for the first `tasks` of [`LossTask::ALL`].
    pub fn new(n: u32, tasks: u32) -> Self {
        Self { n, tasks }
    }

    /// Calls `each` with every task's rule, the samples that have it, how many of them are kept, and its rows of losses and scales.
    fn for_each_task(&self, read: &[&[f32]], scales: &mut [f32], mut each: impl FnMut(&MiningRule, Vec<usize>, usize, &[f32], &mut [f32])) {
        let n = self.n as usize;
        let rows = read[0].chunks_exact(n).zip(scales.chunks_exact_mut(n)).zip(MiningRule::list(read[2])).take(self.tasks as usize);
        for (task, ((losses, scales), rule)) in rows.enumerate() {
            let pool: Vec<usize> = (0..n).filter(|&i| SampleBits(read[1][i].to_bits()).has(LossTask::ALL[task])).collect();
            let kept = (pool.len() * rule.keep as usize / 10_000).max(1);
            each(rule, pool, kept, losses, scales);
        }
        let pool = &mut scales[self.tasks as usize * n..][..n];
        pool.iter_mut().zip(read[1]).for_each(|(has, kind)| *has = f32::from(u8::from(SampleBits(kind.to_bits()).has(LossTask::Class))));
    }
}

impl Kernel for Mine {
    const NAME: &'static str = "mine";
    const WGSL: &'static [&'static str] = wgsl!("train/mine");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.tasks + 1, ..Work::linear(self.n) }
    }

    fn sizes(&self) -> Vec<usize> {
        let [n, tasks] = [self.n, self.tasks].map(|size| size as usize);
        vec![tasks * n, n, tasks * MiningRule::WORDS, (tasks + 1) * n]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.for_each_task(read, write[0], |rule, pool, kept, losses, scales| {
            for (i, scale) in scales.iter_mut().enumerate() {
                let before = |&&j: &&usize| losses[j] > losses[i] || (losses[j] == losses[i] && j < i);
                let mine = pool.contains(&i) && pool.iter().filter(before).count() < kept;
                *scale = if mine { rule.weight / kept as f32 } else { 0.0 };
            }
        });
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.for_each_task(read, write[0], |rule, mut pool, kept, losses, scales| {
            scales.fill(0.0);
            // Stable: equal losses stay in the order of their places.
            pool.sort_by(|&a, &b| losses[b].total_cmp(&losses[a]));
            pool.iter().take(kept).for_each(|&i| scales[i] = rule.weight / kept as f32);
        });
    }

    /// WGSL allows a division 2.5 ulp.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let most = MiningRule::list(read[2]).iter().fold(0.0_f32, |most, rule| most.max(rule.weight));
        3.0 * most * f32::EPSILON
    }
}

impl Samples for Mine {
    fn samples() -> Vec<Sample<Self>> {
        let cases: [(u32, &[(f64, f32)]); 4] =
            [(1, &[(0.7, 0.5)]), (65, &[(0.7, 0.5), (1.0, 2.0)]), (300, &[(1.0, 1.0); 3]), (1000, &[(0.35, 0.5), (0.7, 1.0), (0.0, 1.0)])];
        cases
            .map(|(n, rules)| {
                let rules: Vec<MiningRule> = rules.iter().map(|(keep, weight)| MiningRule::new(*keep, *weight)).collect();
                let mut losses = sample_losses(n as usize);
                losses.truncate(rules.len() * n as usize);
                Sample {
                    kernel: Self::new(n, rules.len() as u32),
                    read: vec![losses, sample_kinds(n as usize), words(MiningRule::words(&rules))],
                }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&Mine, u32, &[&[f32]], &mut [&mut [f32]]);

    fn kept(losses: &[f32], kinds: &[SampleBits], keep: f64, weight: f32) -> Vec<f32> {
        let (n, kinds) = (losses.len(), words(kinds.iter().map(|kind| kind.0)));
        let rules = words(MiningRule::words(&[MiningRule::new(keep, weight)]));
        let [twin, native] = [Kernel::reference as Play, Kernel::native as Play].map(|play| {
            let mut scales = vec![f32::NAN; 2 * n];
            play(&Mine::new(n as u32, 1), 1, &[losses, &kinds, &rules], &mut [&mut scales]);
            let has: Vec<f32> = kinds.iter().map(|kind| (kind.to_bits() & 1) as f32).collect();
            assert_eq!(scales[n..], has);
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
