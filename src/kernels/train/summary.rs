//! What the host wants to know of a step.

use super::{Squares, StepInputs, sample_losses};
use crate::kernels::together::sum_of;
use crate::kernels::{Sample, Samples, largest, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Sums up a step in an entry of a ring, and notes in [`Status`] the first figure or gradient that is NaN or infinite.
    ///
    /// Reads `figures: [_, n]`, `counted: [_, n]`, a [`Figure`] for each row of the entry, squared gradient norms `norms: [norms,
    /// Squares::SHARES]` and the step's [`StepInputs`]; updates one entry of `ring: [ring, 2 + 2 rows]` and `status`. An entry is the steps before
    /// this one, the L2 norm of all gradients, and for each figure its sum over the samples that it counts, and their number.
    pub struct Summary { n: u32, rows: u32, norms: u32, ring: u32 }
}

impl Summary {
    /// Of `n` samples with `rows` figures, `norms` gradients and a ring of `ring` entries.
    pub fn new(n: u32, rows: u32, norms: u32, ring: u32) -> Self {
        Self { n, rows, norms, ring }
    }

    /// Words of an entry with `rows` figures.
    pub fn words(rows: usize) -> usize {
        2 + 2 * rows
    }
}

/// One row of an entry: which row of the figures is summed up, over the samples for which which row of `counted` is not 0.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Figure {
    /// Row of the figures.
    pub figure: u32,
    /// Row of `counted`.
    pub counted: u32,
}

impl Figure {
    /// Four-byte words.
    pub const WORDS: usize = 2;

    fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }
}

/// The first thing that was not finite.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Status {
    /// 0 if there was none, 1 for a figure, 2 for a gradient.
    pub fault: u32,
    /// Steps before that one.
    pub step: u32,
    /// Which row of the entry, or which of the norms.
    pub place: u32,
    unused: u32,
}

impl Status {
    /// Four-byte words.
    pub const WORDS: usize = 4;
    /// [`Status::fault`] of a figure.
    pub const FIGURE: u32 = 1;
    /// [`Status::fault`] of a gradient.
    pub const GRADIENT: u32 = 2;

    /// The status in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(&slot[..Self::WORDS])[0]
    }

    /// With this `fault` at `place` in the step after `step` others.
    pub fn of(fault: u32, step: u32, place: u32) -> Self {
        Self { fault, step, place, unused: 0 }
    }
}

impl Kernel for Summary {
    const NAME: &'static str = "summary";
    const WGSL: &'static [&'static str] = wgsl!("train/summary");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] =
        &[Binding::READ, Binding::READ, Binding::READ_U32, Binding::READ, Binding::READ_U32, Binding::UPDATE, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    /// Figures and counted rows are as many as the [`Figure`]s name: at least one.
    fn sizes(&self) -> Vec<usize> {
        let [n, rows, norms, ring] = [self.n, self.rows, self.norms, self.ring].map(|size| size as usize);
        vec![n, n, rows * Figure::WORDS, norms * Squares::SHARES, StepInputs::WORDS, ring * Self::words(rows), Status::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, rows, schedule) = (self.n as usize, self.rows as usize, StepInputs::read(read[4]));
        let norms = read[3].chunks_exact(Squares::SHARES).take(self.norms as usize);
        let norms: Vec<f64> = norms.map(|shares| shares.iter().map(|share| f64::from(*share)).sum()).collect();
        let words = Self::words(rows);
        let entry = &mut write[0][(schedule.step % self.ring) as usize * words..][..words];
        entry[0] = schedule.step as f32;
        entry[1] = norms.iter().sum::<f64>().sqrt() as f32;
        let mut broken = None;
        for (place, row) in Figure::list(read[2]).iter().take(rows).enumerate() {
            let (figures, counted) = (&read[0][row.figure as usize * n..][..n], &read[1][row.counted as usize * n..][..n]);
            let values = || figures.iter().zip(counted).filter(|(_, counted)| **counted != 0.0).map(|(figure, _)| f64::from(*figure));
            let sum: f64 = values().sum();
            (entry[2 + 2 * place], entry[3 + 2 * place]) = (sum as f32, values().count() as f32);
            // What is not counted is looked at too: the next step may count it.
            let all_finite = figures.iter().all(|figure| figure.is_finite());
            broken = broken.or((!all_finite).then_some((Status::FIGURE, place)));
        }
        let gradient = norms.iter().position(|norm| !norm.is_finite() || norm.abs() > f64::from(f32::MAX));
        broken = broken.or(gradient.map(|place| (Status::GRADIENT, place)));
        if let (0, Some((fault, place))) = (Status::read(write[1]).fault, broken) {
            let status = Status::of(fault, schedule.step, place as u32);
            write[1][..Status::WORDS].copy_from_slice(bytemuck::cast_slice(&[status]));
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, rows, step) = (self.n as usize, self.rows as usize, StepInputs::read(read[4]).step);
        let words = Self::words(rows);
        let entry = &mut write[0][(step % self.ring) as usize * words..][..words];
        let (mut squares, mut broken) = (0.0, None);
        for (place, row) in Figure::list(read[2]).iter().take(rows).enumerate() {
            let (figures, counted) = (&read[0][row.figure as usize * n..][..n], &read[1][row.counted as usize * n..][..n]);
            entry[2 + 2 * place] = sum_of(n, |i| if counted[i] == 0.0 { 0.0 } else { figures[i] });
            entry[3 + 2 * place] = counted.iter().filter(|counted| **counted != 0.0).count() as f32;
            let all_finite = figures.iter().all(|figure| figure.is_finite());
            broken = broken.or((!all_finite).then_some((Status::FIGURE, place)));
        }
        for (place, shares) in read[3].chunks_exact(Squares::SHARES).take(self.norms as usize).enumerate() {
            let norm = sum_of(Squares::SHARES, |share| shares[share]);
            squares += norm;
            broken = broken.or((!norm.is_finite()).then_some((Status::GRADIENT, place)));
        }
        (entry[0], entry[1]) = (step as f32, squares.sqrt());
        if let (0, Some((fault, place))) = (Status::read(write[1]).fault, broken) {
            let status = Status::of(fault, step, place as u32);
            write[1][..Status::WORDS].copy_from_slice(bytemuck::cast_slice(&[status]));
        }
    }

    /// Of one-signed sums the sum itself stands for the largest term; figures may be of both signs.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let figures = (self.n.div_ceil(256) + 8) as f32 * self.n as f32 * largest(read[0]);
        let norms = (self.norms as usize * Squares::SHARES) as f32 * (1.0 + largest(read[3]));
        (figures + norms) * f32::EPSILON
    }
}

impl Samples for Summary {
    fn samples() -> Vec<Sample<Self>> {
        let case = |n: u32, norms: u32, [ring, step]: [u32; 2], poison: Option<u32>| {
            let rows = [0, 0, 1, 1, 2, 2, 0, 1];
            let counted = noise(3 * n as usize, 2).iter().map(|v| v.max(0.0)).collect();
            let squares = noise(norms as usize * Squares::SHARES, 3).iter().map(|v| v.abs()).collect();
            let read = vec![
                sample_losses(n as usize),
                counted,
                words(rows),
                squares,
                StepInputs::new(step, 0, 0.0, [0.9, 0.999]).words(),
                noise(ring as usize * Self::words(4), 4),
                // A fault that was noted before stays.
                poison.map_or_else(|| words([0; 4]), |place| words([2, 2, place, 0])),
            ];
            Sample { kernel: Self::new(n, 4, norms, ring), read }
        };
        vec![case(1, 1, [1, 0], None), case(65, 17, [4, 6], None), case(300, 300, [3, 77], Some(5)), case(1024, 17, [256, 1_000_000], None)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Play = fn(&Summary, u32, &[&[f32]], &mut [&mut [f32]]);

    /// Entry and status after a step whose figures and squared norms are these.
    fn after(figures: [f32; 2], norms: [f32; 2], before: Status) -> (Vec<f32>, Status) {
        let schedule = StepInputs::new(7, 0, 0.0, [0.9, 0.999]).words();
        let mut shares = [0.0; 2 * Squares::SHARES];
        (shares[0], shares[Squares::SHARES]) = (norms[0], norms[1]);
        let read: [&[f32]; 5] = [&figures, &[1.0, 0.0], &words([0, 0, 1, 1]), &shares, &schedule];
        let [twin, native] = [Kernel::reference as Play, Kernel::native as Play].map(|play| {
            let (mut ring, mut status) = (vec![f32::NAN; Summary::words(2)], bytemuck::cast_slice(&[before]).to_vec());
            play(&Summary::new(1, 2, 2, 1), 1, &read, &mut [&mut ring, &mut status]);
            (ring, Status::read(&status))
        });
        assert_eq!(twin.1, native.1);
        twin
    }

    #[test]
    fn an_entry_has_sums_and_counts() {
        assert_eq!(after([3.0, 5.0], [9.0, 16.0], Status::default()), (vec![7.0, 5.0, 3.0, 1.0, 0.0, 0.0], Status::default()));
    }

    #[test]
    fn the_first_number_that_is_not_finite_is_named_with_its_step() {
        let none = Status::default();
        for (figures, norms, fault, place) in [
            ([f32::NAN, 1.0], [1.0; 2], Status::FIGURE, 0),
            ([1.0, f32::INFINITY], [1.0, f32::NAN], Status::FIGURE, 1),
            ([1.0, 1.0], [f32::NAN; 2], Status::GRADIENT, 0),
            ([1.0, 1.0], [1.0, f32::INFINITY], Status::GRADIENT, 1),
        ] {
            assert_eq!(after(figures, norms, none).1, Status::of(fault, 7, place));
        }
        let earlier = Status::of(Status::FIGURE, 3, 1);
        assert_eq!(after([f32::NAN; 2], [f32::NAN; 2], earlier).1, earlier);
    }
}
