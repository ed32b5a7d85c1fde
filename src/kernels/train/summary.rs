//! What the host wants to know of a step.

use super::{Kind, Schedule, Squares, Task, sample_kinds, sample_losses};
use crate::kernels::nn::sum_of;
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Sums up a step in an [`Entry`] of a ring, and notes in [`Status`] the first loss or gradient that is NaN or infinite.
    ///
    /// Reads `y: [n, outputs]`, `kinds: [n]`, `losses: [3, n]`, `scales: [3, n]`, squared gradient norms `norms: [norms,
    /// Squares::SHARES]` and the step's [`Schedule`]; updates one entry of `ring` and `status`.
    pub struct Summary { n: u32, outputs: u32, norms: u32, ring: u32 }
}

impl Summary {
    /// Of `n` samples with `outputs` outputs each, `norms` gradients and a ring of `ring` entries.
    pub fn new(n: u32, outputs: u32, norms: u32, ring: u32) -> Self {
        Self { n, outputs, norms, ring }
    }
}

/// A step in numbers.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Entry {
    /// Weighted sum of the tasks' losses: what is minimised.
    pub total: f32,
    /// Mean loss of the kept samples, per task.
    pub losses: [f32; 3],
    /// Samples with a gradient, per task.
    pub kept: [f32; 3],
    /// Faces and non-faces told right.
    pub right: f32,
    /// Samples that have the class task.
    pub pool: f32,
    /// L2 norm of the gradient of all parameters.
    pub gradient: f32,
    /// Steps before this one.
    pub step: f32,
    /// Mean cross entropy of all samples that have the class task, kept or not.
    pub cross_entropy: f32,
}

impl Entry {
    /// Four-byte words.
    pub const WORDS: usize = 12;

    /// The entries in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }
}

/// The first thing that was not finite.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Status {
    /// 1 if there was one.
    pub fault: u32,
    /// Steps before that one.
    pub step: u32,
    /// Index of the task whose loss it was; 3 for a gradient.
    pub task: u32,
    /// Of a gradient, its index among the norms.
    pub place: u32,
}

impl Status {
    /// Four-byte words.
    pub const WORDS: usize = 4;

    /// The status in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(&slot[..Self::WORDS])[0]
    }

    /// Which loss was not finite, in words; `None` for a gradient.
    pub fn loss(&self) -> Option<&'static str> {
        Task::ALL.get(self.task as usize).map(|task| match task {
            Task::Class => "class loss",
            Task::Box => "box loss",
            Task::Landmarks => "landmark loss",
        })
    }
}

impl Kernel for Summary {
    const NAME: &'static str = "summary";
    const WGSL: &'static [&'static str] = wgsl!("train/summary");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[
        Binding::READ,
        Binding::READ_U32,
        Binding::READ,
        Binding::READ,
        Binding::READ,
        Binding::READ_U32,
        Binding::UPDATE,
        Binding::UPDATE_U32,
    ];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    fn sizes(&self) -> Vec<usize> {
        let n = self.n as usize;
        let (y, ring) = (n * self.outputs as usize, self.ring as usize * Entry::WORDS);
        vec![y, n, 3 * n, 3 * n, self.norms as usize * Squares::SHARES, Schedule::WORDS, ring, Status::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [y, kinds, losses, scales, norms, schedule] = read else { unreachable!("checked when recorded") };
        let (n, step) = (self.n as usize, Schedule::read(schedule).step);
        let class = (0..n).filter(|&i| Kind(kinds[i].to_bits()).has(Task::Class));
        let right = |&i: &usize| (y[i * self.outputs as usize + 1] > y[i * self.outputs as usize]) == Kind(kinds[i].to_bits()).is_face();
        let mean = |sum: f64, count: usize| (sum / count.max(1) as f64) as f32;
        let mut entry = Entry { step: step as f32, pool: class.clone().count() as f32, ..Entry::default() };
        entry.total = losses.iter().zip(*scales).take(3 * n).map(|(l, s)| f64::from(*l) * f64::from(*s)).sum::<f64>() as f32;
        let mut broken = [false; 4];
        for task in 0..3 {
            let row = losses[task * n..][..n].iter().zip(&scales[task * n..][..n]);
            let kept = row.clone().filter(|(_, scale)| **scale != 0.0).count();
            let sum: f64 = row.map(|(loss, scale)| f64::from(*loss) * if *scale == 0.0 { 0.0 } else { 1.0 }).sum();
            (entry.kept[task], entry.losses[task], broken[task]) = (kept as f32, mean(sum, kept), !sum.is_finite());
        }
        let all: f64 = losses[..n].iter().map(|loss| f64::from(*loss)).sum();
        broken[0] = !all.is_finite();
        (entry.cross_entropy, entry.right) = (mean(all, class.clone().count()), class.filter(right).count() as f32);
        let norm = |shares: &[f32]| shares.iter().map(|share| f64::from(*share)).sum::<f64>();
        let norms: Vec<f64> = norms.chunks_exact(Squares::SHARES).take(self.norms as usize).map(norm).collect();
        entry.gradient = norms.iter().sum::<f64>().sqrt() as f32;
        let place = norms.iter().position(|norm| !norm.is_finite());
        broken[3] = place.is_some();
        bytemuck::cast_slice_mut(write[0])[(step % self.ring) as usize] = entry;
        let status: &mut Status = &mut bytemuck::cast_slice_mut(write[1])[0];
        if let (0, Some(task)) = (status.fault, broken.iter().position(|broken| *broken)) {
            *status = Status { fault: 1, step, task: task as u32, place: place.filter(|_| task == 3).unwrap_or(0) as u32 };
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [y, kinds, losses, scales, norms, schedule] = read else { unreachable!("checked when recorded") };
        let (n, step) = (self.n as usize, Schedule::read(schedule).step);
        let (mut pool, mut right) = (0.0_f32, 0.0_f32);
        for (y, kind) in y.chunks_exact(self.outputs as usize).zip(*kinds).take(n).map(|(y, kind)| (y, Kind(kind.to_bits()))) {
            if kind.has(Task::Class) {
                pool += 1.0;
                right += f32::from(u8::from((y[1] > y[0]) == kind.is_face()));
            }
        }
        let all = sum_of(n, |i| losses[i]);
        let mut entry = Entry { step: step as f32, pool, right, cross_entropy: all / pool.max(1.0), ..Entry::default() };
        let mut faulty = [false; 4];
        for task in 0..3 {
            let [losses, scales] = [losses, scales].map(|rows| &rows[task * n..][..n]);
            let kept = |i: usize| if scales[i] == 0.0 { 0.0 } else { 1.0 };
            let (sum, count) = (sum_of(n, |i| losses[i] * kept(i)), sum_of(n, kept));
            entry.total += sum_of(n, |i| losses[i] * scales[i]);
            (entry.losses[task], entry.kept[task]) = (sum / count.max(1.0), count);
            faulty[task] = !sum.is_finite();
        }
        let mut place = None;
        for (i, shares) in norms.chunks_exact(Squares::SHARES).take(self.norms as usize).enumerate() {
            let norm = sum_of(Squares::SHARES, |share| shares[share]);
            entry.gradient += norm;
            place = place.or(if norm.is_finite() { None } else { Some(i as u32) });
        }
        entry.gradient = entry.gradient.sqrt();
        (faulty[0], faulty[3]) = (!all.is_finite(), place.is_some());
        bytemuck::cast_slice_mut(write[0])[(step % self.ring) as usize] = entry;
        let status: &mut Status = &mut bytemuck::cast_slice_mut(write[1])[0];
        if let (0, Some(task)) = (status.fault, faulty.iter().position(|faulty| *faulty)) {
            *status = Status { fault: 1, step, task: task as u32, place: place.filter(|_| task == 3).unwrap_or(0) };
        }
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let (loss, n) = (largest(read[2]), self.n as f32);
        let total = 3.0 * n * loss * largest(read[3]);
        let sums = (n.sqrt() + 8.0) * (total + n * loss);
        (sums + (self.norms as usize * Squares::SHARES) as f32 * (1.0 + largest(read[4]))) * f32::EPSILON
    }
}

impl Samples for Summary {
    fn samples() -> Vec<Sample<Self>> {
        let case = |n: u32, outputs: u32, norms: u32, ring: u32, step: u32, poison: Option<usize>| {
            let scales = noise(3 * n as usize, 2).iter().map(|v| v.max(0.0)).collect();
            let squares = noise(norms as usize * Squares::SHARES, 3).iter().map(|v| v.abs()).collect();
            let mut read = vec![
                noise((n * outputs) as usize, 1),
                sample_kinds(n as usize),
                sample_losses(n as usize),
                scales,
                squares,
                Schedule::new(step, 0, 0.0, [0.9, 0.999]).words(),
                noise((ring as usize) * Entry::WORDS, 4),
                words([0; 4]),
            ];
            // A fault that was noted before stays.
            if let Some(place) = poison {
                read[7] = words([1, place as u32, 2, 0]);
            }
            Sample { kernel: Self::new(n, outputs, norms, ring), read }
        };
        vec![
            case(1, 6, 1, 1, 0, None),
            case(65, 16, 17, 4, 6, None),
            case(300, 6, 5, 3, 77, Some(5)),
            case(1024, 16, 17, 256, 1_000_000, None),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status after a step whose losses and squared norms are these.
    fn status(losses: [f32; 3], norms: [f32; 2], before: Status) -> Status {
        type Play = fn(&Summary, u32, &[&[f32]], &mut [&mut [f32]]);
        let kinds = words([15]);
        let schedule = Schedule::new(7, 0, 0.0, [0.9, 0.999]).words();
        let mut shares = [0.0; 2 * Squares::SHARES];
        (shares[0], shares[Squares::SHARES]) = (norms[0], norms[1]);
        let read: [&[f32]; 6] = [&[0.0; 16], &kinds, &losses, &[1.0; 3], &shares, &schedule];
        let [twin, native] = [Kernel::reference as Play, Kernel::native as Play].map(|play| {
            let (mut ring, mut status) = (vec![0.0; Entry::WORDS], bytemuck::cast_slice(&[before]).to_vec());
            play(&Summary::new(1, 16, 2, 1), 1, &read, &mut [&mut ring, &mut status]);
            Status::read(&status)
        });
        assert_eq!(twin, native);
        twin
    }

    #[test]
    fn the_first_number_that_is_not_finite_is_named_with_its_step() {
        let none = Status::default();
        assert_eq!(status([1.0, 2.0, 3.0], [4.0; 2], none), none);
        for (losses, norms, loss, place) in [
            ([f32::NAN, 1.0, 1.0], [1.0; 2], Some("class loss"), 0),
            ([1.0, f32::INFINITY, 1.0], [1.0, f32::NAN], Some("box loss"), 0),
            ([1.0, 1.0, f32::NAN], [1.0; 2], Some("landmark loss"), 0),
            ([1.0, 1.0, 1.0], [f32::NAN; 2], None, 0),
            ([1.0, 1.0, 1.0], [1.0, f32::INFINITY], None, 1),
        ] {
            let found = status(losses, norms, none);
            assert_eq!((found.fault, found.step, found.loss(), found.place), (1, 7, loss, place));
        }
        let earlier = Status { fault: 1, step: 3, task: 1, place: 0 };
        assert_eq!(status([f32::NAN; 3], [f32::NAN; 2], earlier), earlier);
    }
}
