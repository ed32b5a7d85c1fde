//! Non-maximum suppression over the overlap bits.

use super::{Counter, Overlap, slot, sorted_list};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// Keeps every candidate that no kept earlier one suppresses (spec section 3.4).
    ///
    /// Reads `rows: [capacity, words]` of [`Overlap`] and the list's [`Counter`]; updates `keep: [capacity]`.
    pub struct Nms { capacity: u32, words: u32 }
}

impl Nms {
    /// Over a list of at most `capacity`, itself at most 16,384.
    pub fn new(capacity: u32) -> Self {
        Self { capacity, words: capacity.div_ceil(32) }
    }
}

impl Kernel for Nms {
    const NAME: &'static str = "nms";
    const WGSL: &'static [&'static str] = wgsl!("select/nms", "shared/counter");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(1)
    }

    fn sizes(&self) -> Vec<usize> {
        vec![(self.capacity * self.words) as usize, Counter::WORDS, self.capacity as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let rows: &[u32] = bytemuck::cast_slice(read[0]);
        let held = Counter::read(read[1]).held.min(self.capacity) as usize;
        let mut suppressed = vec![0_u32; held.div_ceil(32)];
        for i in 0..held {
            let kept = suppressed[i / 32] >> (i % 32) & 1 == 0;
            write[0][i] = f32::from_bits(u32::from(kept));
            if kept {
                let row = &rows[i * self.words as usize..][..suppressed.len()];
                suppressed.iter_mut().zip(row).skip(i / 32).for_each(|(all, row)| *all |= row);
            }
        }
    }
}

impl Samples for Nms {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 0), (1, 1), (31, 31), (64, 33), (300, 257), (1100, 1100), (16_384, 100)]
            .map(|(capacity, held): (u32, u32)| {
                let list = slot(&sorted_list(capacity as usize, 6), capacity as usize);
                let overlap = Overlap::new(capacity, 0.5, false, false);
                let mut rows = vec![0.0; (capacity * capacity.div_ceil(32)) as usize];
                overlap.reference(1, &[&list, &Counter::of(held).words()], &mut [&mut rows]);
                Sample { kernel: Self::new(capacity), read: vec![rows, Counter::of(held).words()] }
            })
            .to_vec()
    }
}
