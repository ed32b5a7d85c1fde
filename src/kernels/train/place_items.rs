//! Rows of a micro-batch into those of the whole batch.

use super::{StepInputs, sample_kinds};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `whole[r, first + i] = part[r, i]`, words as they are.
    ///
    /// Reads `part: [rows, n]` and the step's [`StepInputs`], which has `first`; updates `whole: [rows, all]`.
    pub struct PlaceItems { rows: u32, n: u32, all: u32 }
}

impl PlaceItems {
    /// Of `rows` rows of `n` items, into rows of `all`.
    pub fn new(rows: u32, n: u32, all: u32) -> Self {
        Self { rows, n, all }
    }
}

impl Kernel for PlaceItems {
    const NAME: &'static str = "place_items";
    const WGSL: &'static [&'static str] = wgsl!("train/place_items");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.rows, ..Work::linear(self.n) }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.rows * self.n) as usize, StepInputs::WORDS, (self.rows * self.all) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, first) = (self.n as usize, StepInputs::read(read[1]).first as usize);
        for (part, whole) in read[0].chunks_exact(n).zip(write[0].chunks_exact_mut(self.all as usize)).take(self.rows as usize) {
            whole[first..first + n].copy_from_slice(part);
        }
    }
}

/// Rows, items, items of the whole batch, first of them.
pub(super) const CASES: [[u32; 4]; 3] = [[1, 1, 1, 0], [4, 65, 300, 130], [3, 128, 512, 384]];

impl Samples for PlaceItems {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .map(|[rows, n, all, first]| Sample {
                kernel: Self::new(rows, n, all),
                read: vec![sample_kinds((rows * n) as usize), StepInputs::default().from(first).words(), words(0..rows * all)],
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::train::TakeItems;

    #[test]
    fn what_is_placed_is_what_is_taken_and_nothing_else_moves() {
        let schedule = StepInputs::default().from(2).words();
        let part = words([1, 2, 3, 4]);
        let mut whole = words([0; 10]);
        Kernel::reference(&PlaceItems::new(2, 2, 5), 1, &[&part, &schedule], &mut [&mut whole]);
        assert_eq!(whole.iter().map(|word| word.to_bits()).collect::<Vec<_>>(), [0, 0, 1, 2, 0, 0, 0, 3, 4, 0]);
        let mut back = words([9; 4]);
        Kernel::reference(&TakeItems::new(2, 2, 5), 1, &[&whole, &schedule], &mut [&mut back]);
        assert_eq!(back.iter().map(|word| word.to_bits()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }
}
