//! NMS inside each pyramid level.

use rayon::prelude::*;

use super::{Candidate, Counter, Keepers, NmsRule, Rank, greedy, lists, sample_list};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// Clears the flag of every candidate that a kept better one of its tag suppresses (spec section 3.3).
    ///
    /// Reads `candidates: [images, capacity]` in order of tags, the [`Counter`]s, and `order` and `rows` of [`Rank`] by tag, in which all
    /// candidates took part; updates `keep: [images, capacity]`.
    pub struct Suppress { images: u32, capacity: u32, words: u32, list: u32, tags: u32 }
}

impl Suppress {
    /// Over list number `list` of each image, of at most `capacity` candidates with tags below `tags`; `capacity` is at most 16,384.
    pub fn new(images: u32, capacity: u32, list: u32, tags: u32) -> Self {
        Self { images, capacity, words: capacity.div_ceil(32), list, tags }
    }
}

impl Kernel for Suppress {
    const NAME: &'static str = "suppress";
    const WGSL: &'static [&'static str] = wgsl!("select/suppress", "shared/greedy", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::READ_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.tags * 256) }
    }

    fn sizes(&self) -> Vec<usize> {
        let all = (self.images * self.capacity) as usize;
        vec![all * Candidate::WORDS, Counter::size(self.list, self.images), all, all * self.words as usize, all]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, words) = (self.capacity as usize, self.words as usize);
        let (order, rows): (&[u32], &[u32]) = (bytemuck::cast_slice(read[2]), bytemuck::cast_slice(read[3]));
        for image in 0..self.images as usize {
            let held = Counter::held(read[1], self.list, self.images, image).min(self.capacity) as usize;
            let list = &Candidate::list(read[0])[image * capacity..][..held];
            let keep = &mut write[0][image * capacity..][..held];
            let mut start = 0;
            for same in list.chunk_by(|a, b| a.tag == b.tag) {
                let order = &order[image * capacity + start..][..same.len()];
                let kept = greedy(order, &rows[image * capacity * words..], words, start / 32..(start + same.len()).div_ceil(32));
                order.iter().zip(kept).for_each(|(&i, kept)| keep[i as usize] = f32::from_bits(u32::from(kept)));
                start += same.len();
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, words) = (self.capacity as usize, self.words as usize);
        let (order, rows): (&[u32], &[u32]) = (bytemuck::cast_slice(read[2]), bytemuck::cast_slice(read[3]));
        let images = write[0].par_chunks_exact_mut(capacity).take(self.images as usize).enumerate();
        images.for_each(|(image, keep)| {
            let held = Counter::held(read[1], self.list, self.images, image).min(self.capacity) as usize;
            let list = &Candidate::list(read[0])[image * capacity..][..held];
            let (order, rows) = (&order[image * capacity..][..held], &rows[image * capacity * words..][..capacity * words]);
            let mut keepers = Keepers::new(rows, words);
            let mut start = 0;
            while start < held {
                let same = list[start..].iter().take_while(|other| other.tag == list[start].tag).count().max(1);
                for &i in &order[start..start + same] {
                    keep[i as usize] = f32::from_bits(u32::from(keepers.keeps(i as usize, start..start + same)));
                }
                start += same;
            }
        });
    }
}

impl Samples for Suppress {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 0), (1, 1, 1), (1, 64, 33), (3, 300, 257), (1, 1100, 1100), (1, 16_384, 100)]
            .map(|(images, capacity, held): (u32, u32, u32)| {
                let mut list = sample_list((images * capacity) as usize, 6);
                // Tags from -2 to 2 to tags from 0 to 4, of which one is missing in places.
                list.iter_mut().for_each(|c| c.tag += 2.0);
                list.chunks_mut(capacity as usize).for_each(|list| list.sort_by(|a, b| a.tag.total_cmp(&b.tag)));
                let (list, counters) = (bytemuck::cast_slice(&list).to_vec(), lists(&[vec![held; images as usize]]));
                let rank = Rank::new(images, capacity, 0, NmsRule { threshold: 0.5, smaller: false, same_tag: true });
                let all = (images * capacity) as usize;
                let (mut order, mut rows) = (vec![0.0; all], vec![0.0; all * capacity.div_ceil(32) as usize]);
                rank.reference(1, &[&list, &words(vec![1; all]), &counters], &mut [&mut order, &mut rows]);
                Sample { kernel: Self::new(images, capacity, 0, 5), read: vec![list, counters, order, rows] }
            })
            .to_vec()
    }
}
