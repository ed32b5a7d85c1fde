//! Rows of a micro-batch out of those of the whole batch.

use super::place_items::CASES;
use super::{StepInputs, sample_kinds};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// `part[r, i] = whole[r, first + i]`, words as they are.
    ///
    /// Reads `whole: [rows, all]` and the step's [`StepInputs`], which has `first`; writes `part: [rows, n]`.
    pub struct TakeItems { rows: u32, n: u32, all: u32 }
}

impl TakeItems {
    /// Of `n` items of `rows` rows of `all`.
    pub fn new(rows: u32, n: u32, all: u32) -> Self {
        Self { rows, n, all }
    }
}

impl Kernel for TakeItems {
    const NAME: &'static str = "take_items";
    const WGSL: &'static [&'static str] = wgsl!("train/take_items");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.rows, ..Work::linear(self.n) }
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.rows * self.all) as usize, StepInputs::WORDS, (self.rows * self.n) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (n, first) = (self.n as usize, StepInputs::read(read[1]).first as usize);
        for (whole, part) in read[0].chunks_exact(self.all as usize).zip(write[0].chunks_exact_mut(n)).take(self.rows as usize) {
            part.copy_from_slice(&whole[first..first + n]);
        }
    }
}

impl Samples for TakeItems {
    fn samples() -> Vec<Sample<Self>> {
        CASES
            .map(|[rows, n, all, first]| Sample {
                kernel: Self::new(rows, n, all),
                read: vec![sample_kinds((rows * all) as usize), StepInputs::default().from(first).words()],
            })
            .to_vec()
    }
}
