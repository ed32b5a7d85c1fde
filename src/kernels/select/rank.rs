//! Ranking of candidates, with the pairs in which one suppresses the other.

use std::ops::Range;

use rayon::prelude::*;

use super::{Candidate, Counter, NmsRule, lists, sample_list};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{OverlapRow, PLANES, Simd};

crate::uniform! {
    /// Ranks the kept candidates by descending score, ties by place, and finds for each the later ones that
    /// it overlaps by more than the threshold (spec section 3.4).
    ///
    /// Reads `candidates: [images, capacity]`, `keep: [images, capacity]` and the [`Counter`]s; updates
    /// `order: [images, capacity]`, the places of the kept candidates, and `rows: [images, capacity, words]`
    /// of bits. With `same_tag`, candidates must be in order of tags, and only those with the same tag are
    /// compared.
    pub struct Rank { images: u32, capacity: u32, words: u32, list: u32, threshold: f32, smaller: u32, same_tag: u32 }
}

impl Rank {
    /// Creates the kernel for list number `list` of each image, which holds at most `capacity` candidates.
    pub fn new(images: u32, capacity: u32, list: u32, rule: NmsRule) -> Self {
        let (smaller, same_tag) = (u32::from(rule.smaller), u32::from(rule.same_tag));
        Self { images, capacity, words: capacity.div_ceil(32), list, threshold: rule.threshold, smaller, same_tag }
    }

    /// Returns the range of places of each tag, or a single range of all places.
    fn segments(&self, list: &[Candidate]) -> Vec<Range<usize>> {
        if self.same_tag == 0 {
            return std::iter::once(0..list.len()).collect();
        }
        let mut start = 0;
        let run = |chunk: &[Candidate]| {
            start += chunk.len();
            start - chunk.len()..start
        };
        list.chunk_by(|a, b| a.tag == b.tag).map(run).collect()
    }

    /// Computes the rank of candidate `i` in a segment, that is the number of candidates before it, and its
    /// row of bits.
    fn row(&self, list: &[Candidate], keep: &[u32], segment: Range<usize>, i: usize, row: &mut [f32]) -> usize {
        let (me, mut rank) = (list[i], 0);
        for (w, word) in row.iter_mut().enumerate().take(segment.end.div_ceil(32)).skip(segment.start / 32) {
            let mut bits = 0_u32;
            for j in (w * 32).max(segment.start)..(w * 32 + 32).min(segment.end) {
                if keep[j] != 1 || j == i {
                    continue;
                }
                if list[j].score > me.score || (list[j].score == me.score && j < i) {
                    rank += 1;
                } else if me.overlaps(&list[j], self.threshold, self.smaller == 1) {
                    bits |= 1 << (j % 32);
                }
            }
            *word = f32::from_bits(bits);
        }
        rank
    }

    fn segment(&self, list: &[Candidate], keep: &[u32], segment: Range<usize>, order: &mut [f32], rows: &mut [f32]) {
        let words = self.words as usize;
        for i in segment.clone().filter(|&i| keep[i] == 1) {
            let rank = self.row(list, keep, segment.clone(), i, &mut rows[i * words..][..words]);
            order[segment.start + rank] = f32::from_bits(i as u32);
        }
    }

    /// Computes [`Rank::segment`] by sorting, and the rows with vector instructions.
    fn native_segment(&self, list: &[Candidate], keep: &[u32], segment: Range<usize>, order: &mut [f32], rows: &mut [f32]) {
        let mut ranked: Vec<usize> = segment.clone().filter(|&i| keep[i] == 1).collect();
        ranked.sort_unstable_by(|&a, &b| list[b].score.total_cmp(&list[a].score).then(a.cmp(&b)));
        if ranked.is_empty() {
            return;
        }
        let (words, used) = (self.words as usize, segment.start / 32..segment.end.div_ceil(32));
        let length = 32 * used.len();
        let mut data = vec![-1.0; PLANES * length];
        for (rank, &i) in ranked.iter().enumerate() {
            order[segment.start + rank] = f32::from_bits(i as u32);
            let [x1, y1, x2, y2] = list[i].corners;
            let values = [x1, y1, -x2, -y2, -list[i].area(), rank as f32];
            values.iter().zip(data.chunks_exact_mut(length)).for_each(|(value, plane)| plane[i - 32 * used.start] = *value);
        }
        let planes: [&[f32]; PLANES] = std::array::from_fn(|k| &data[k * length..][..length]);
        let (threshold, smaller, simd) = (self.threshold, self.smaller == 1, Simd::chosen());
        let rows = rows[segment.start * words..segment.end * words].par_chunks_mut(words).enumerate();
        rows.with_min_len(64).filter(|(k, _)| keep[segment.start + k] == 1).for_each(|(k, row)| {
            let mine = segment.start + k - 32 * used.start;
            simd.run(OverlapRow { planes, mine, threshold, smaller, row: &mut row[used.clone()] });
        });
    }

    fn run(&self, read: &[&[f32]], write: &mut [&mut [f32]], each: impl Fn(&[Candidate], &[u32], Range<usize>, &mut [f32], &mut [f32])) {
        let (capacity, keep): (usize, &[u32]) = (self.capacity as usize, bytemuck::cast_slice(read[1]));
        let [order, rows] = write else { unreachable!("checked when recorded") };
        for image in 0..self.images as usize {
            let held = Counter::held(read[2], self.list, self.images, image).min(self.capacity) as usize;
            let list = &Candidate::list(read[0])[image * capacity..][..held];
            let rows = &mut rows[image * capacity * self.words as usize..];
            let (keep, order) = (&keep[image * capacity..], &mut order[image * capacity..]);
            self.segments(list).into_iter().for_each(|segment| each(list, keep, segment, order, rows));
        }
    }
}

impl Kernel for Rank {
    const NAME: &'static str = "rank";
    const WGSL: &'static [&'static str] = wgsl!("select/rank", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::UPDATE_U32, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.capacity) }
    }

    fn sizes(&self) -> Vec<usize> {
        let all = (self.images * self.capacity) as usize;
        vec![all * Candidate::WORDS, all, Counter::size(self.list, self.images), all, all * self.words as usize]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.run(read, write, |list, keep, segment, order, rows| self.segment(list, keep, segment, order, rows));
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.run(read, write, |list, keep, segment, order, rows| self.native_segment(list, keep, segment, order, rows));
    }
}

impl Samples for Rank {
    fn samples() -> Vec<Sample<Self>> {
        let union = |threshold| NmsRule { threshold, smaller: false, same_tag: false };
        [
            (1, 1, 0, union(0.5)),
            (1, 1, 1, union(0.5)),
            (3, 33, 32, union(0.7)),
            (1, 300, 257, NmsRule { smaller: true, ..union(0.7) }),
            (2, 300, 299, NmsRule { same_tag: true, ..union(0.5) }),
            (1, 1000, 1000, NmsRule { same_tag: true, ..union(0.5) }),
        ]
        .map(|(images, capacity, held, rule): (u32, u32, u32, NmsRule)| {
            let mut list = sample_list((images * capacity) as usize, u64::from(capacity));
            if rule.same_tag {
                list.chunks_mut(capacity as usize).for_each(|list| list.sort_by(|a, b| a.tag.total_cmp(&b.tag)));
            }
            let keep = (0..images * capacity).map(|i| if i == 40 { 2 } else { u32::from(i % 5 != 3) });
            let counters = lists(&[vec![9; images as usize], (0..images).map(|image| held.saturating_sub(image)).collect()]);
            Sample { kernel: Self::new(images, capacity, 1, rule), read: vec![bytemuck::cast_slice(&list).to_vec(), words(keep), counters] }
        })
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlap_equal_to_the_threshold_survives() {
        // 10 x 10 boxes, 1-based inclusive: shifted by 4 they share 60 of 140 pixels, by 5 exactly half of
        // the smaller.
        let (a, b) = (Candidate::new([1.0, 1.0, 10.0, 10.0], 0.9, 0.0), Candidate::new([6.0, 1.0, 15.0, 10.0], 0.8, 0.0));
        assert!(!a.overlaps(&b, 0.5, true));
        assert!(a.overlaps(&b, 0.499, true));
        // 7 of 10 pixels in common: a quotient in f32 may round to either side of 0.7, a product does not.
        let (c, d) = (Candidate::new([1.0, 1.0, 10.0, 1.0], 0.9, 0.0), Candidate::new([4.0, 1.0, 10.0, 1.0], 0.8, 0.0));
        assert!(!c.overlaps(&d, 0.7, false));
    }

    #[test]
    fn order_is_by_score_then_place_within_a_tag() {
        let scores = [(0.5, 0.0), (0.9, 0.0), (0.9, 0.0), (0.7, 1.0), (0.8, 1.0)];
        let list = scores.map(|(score, tag)| Candidate::new([0.0; 4], score, tag));
        let order = |same_tag| {
            let kernel = Rank::new(1, 5, 0, NmsRule { threshold: 2.0, smaller: false, same_tag });
            let (mut order, mut rows) = (vec![0.0; 5], vec![0.0; 5]);
            let keep = words([1; 5]);
            kernel.reference(1, &[bytemuck::cast_slice(&list), &keep, &lists(&[vec![5]])], &mut [&mut order, &mut rows]);
            order.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        };
        assert_eq!(order(false), [1, 2, 4, 3, 0]);
        assert_eq!(order(true), [1, 2, 0, 4, 3]);
    }
}
