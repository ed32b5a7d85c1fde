//! Sorts and compacts the kept candidates.

use std::cmp::Ordering;

use super::{Candidate, Counter, sample_list, slot};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// The kept candidates by falling score, ties by place (spec section 3.4); by tag first if asked.
    ///
    /// Reads `candidates: [capacity]`, `keep: [capacity]` and their [`Counter`]; updates `sorted: [room]`, writes its [`Counter`].
    pub struct Sort { capacity: u32, room: u32, by_tag: u32 }
}

impl Sort {
    /// A list of at most `capacity` into one of at most `room`: the best.
    pub fn new(capacity: u32, room: u32, by_tag: bool) -> Self {
        Self { capacity, room, by_tag: u32::from(by_tag) }
    }
}

impl Kernel for Sort {
    const NAME: &'static str = "sort";
    const WGSL: &'static [&'static str] = wgsl!("select/sort", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::UPDATE, Binding::WRITE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.capacity)
    }

    fn sizes(&self) -> Vec<usize> {
        let (capacity, room) = (self.capacity as usize, self.room as usize);
        vec![capacity * Candidate::WORDS, capacity, Counter::WORDS, room * Candidate::WORDS, Counter::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let before = Counter::read(read[2]);
        let keep: &[u32] = bytemuck::cast_slice(read[1]);
        let list = Candidate::list(read[0]).iter().zip(keep).take(before.held.min(self.capacity) as usize);
        let fault = list.clone().fold(before.fault, |fault, (_, keep)| fault | keep >> 1);
        let mut kept: Vec<Candidate> = list.filter(|(_, keep)| **keep == 1).map(|(candidate, _)| *candidate).collect();
        // Stable: equal keys stay in order of place. There is no NaN among kept scores.
        let by = |a: f32, b: f32| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
        kept.sort_by(|a, b| (if self.by_tag == 1 { by(a.tag, b.tag) } else { Ordering::Equal }).then(by(b.score, a.score)));
        let wanted = kept.len() as u32;
        kept.truncate(self.room as usize);
        Candidate::list_mut(write[0])[..kept.len()].copy_from_slice(&kept);
        Counter { held: kept.len() as u32, wanted, fault, ..Counter::default() }.write(write[1]);
    }
}

impl Samples for Sort {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 0, false), (1, 1, 1, false), (63, 63, 63, true), (300, 300, 257, false), (300, 40, 299, true), (1000, 700, 1000, true)]
            .map(|(capacity, room, held, by_tag)| {
                let list = sample_list(capacity as usize, u64::from(capacity));
                let keep = (0..capacity).map(|i| if i == 40 { 2 } else { u32::from(i % 5 != 3) });
                Sample {
                    kernel: Self::new(capacity, room, by_tag),
                    read: vec![slot(&list, capacity as usize), words(keep), Counter::of(held).words()],
                }
            })
            .to_vec()
    }
}
