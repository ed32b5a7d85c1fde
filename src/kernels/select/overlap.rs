//! Which candidates suppress which.

use rayon::prelude::*;

use super::{Candidate, Counter, slot, sorted_list};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// Bit `j` of row `i`: candidate `i`, if kept, suppresses the later candidate `j` (spec section 3.4).
    ///
    /// Reads sorted `candidates: [capacity]` and their [`Counter`]; updates `rows: [capacity, words]`.
    pub struct Overlap { capacity: u32, words: u32, threshold: f32, smaller: u32, same_tag: u32 }
}

impl Overlap {
    /// Overlap over `threshold` of the union, or with `smaller` of the smaller box; with `same_tag` only within one tag.
    pub fn new(capacity: u32, threshold: f32, smaller: bool, same_tag: bool) -> Self {
        let (smaller, same_tag) = (u32::from(smaller), u32::from(same_tag));
        Self { capacity, words: capacity.div_ceil(32), threshold, smaller, same_tag }
    }

    fn row(&self, list: &[Candidate], i: usize, row: &mut [f32]) {
        for (w, word) in row.iter_mut().enumerate().take(list.len().div_ceil(32)).skip(i / 32) {
            let mut bits = 0_u32;
            for j in (w * 32).max(i + 1)..(w * 32 + 32).min(list.len()) {
                let meet = self.same_tag == 0 || list[i].tag == list[j].tag;
                bits |= u32::from(meet && list[i].overlaps(&list[j], self.threshold, self.smaller == 1)) << (j % 32);
            }
            *word = f32::from_bits(bits);
        }
    }
}

impl Kernel for Overlap {
    const NAME: &'static str = "overlap";
    const WGSL: &'static [&'static str] = wgsl!("select/overlap", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.capacity)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![self.capacity as usize * Candidate::WORDS, Counter::WORDS, (self.capacity * self.words) as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let list = &Candidate::list(read[0])[..Counter::read(read[1]).held.min(self.capacity) as usize];
        let rows = write[0].chunks_mut(self.words as usize).enumerate().take(list.len());
        rows.for_each(|(i, row)| self.row(list, i, row));
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let list = &Candidate::list(read[0])[..Counter::read(read[1]).held.min(self.capacity) as usize];
        let rows = write[0].par_chunks_mut(self.words as usize).enumerate().take(list.len());
        rows.for_each(|(i, row)| self.row(list, i, row));
    }
}

impl Samples for Overlap {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 0.5, false, false), (33, 32, 0.5, false, true), (300, 257, 0.7, false, false), (129, 129, 0.7, true, false)]
            .map(|(capacity, held, threshold, smaller, same_tag)| Sample {
                kernel: Self::new(capacity, threshold, smaller, same_tag),
                read: vec![slot(&sorted_list(capacity as usize, 5), capacity as usize), Counter::of(held).words()],
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_equal_to_the_threshold_survives() {
        // 10 x 10 boxes, 1-based inclusive: shifted by 4 they share 60 of 140, by 5 exactly half of the smaller.
        let (a, b) = (Candidate::new([1.0, 1.0, 10.0, 10.0], 0.9, 0.0), Candidate::new([6.0, 1.0, 15.0, 10.0], 0.8, 0.0));
        assert!(!a.overlaps(&b, 0.5, true));
        assert!(a.overlaps(&b, 0.499, true));
        // 7 of 10 pixels in common: quotients in f32 may land on either side of 0.7, products may not.
        let (c, d) = (Candidate::new([1.0, 1.0, 10.0, 1.0], 0.9, 0.0), Candidate::new([4.0, 1.0, 10.0, 1.0], 0.8, 0.0));
        assert!(!c.overlaps(&d, 0.7, false));
    }
}
