//! NMS over a ranked list, and preparation of the kept candidates.

use super::{Candidate, Counter, Keepers, NmsRule, Rank, Row, greedy, lists, sample_list};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Counted, Kernel, Work};

crate::uniform! {
    /// Writes every candidate that is not suppressed by a better one, best first, and counts them. If a net
    /// processes them next, they are moved by their regression, squared and truncated (spec sections 3.3,
    /// 3.4).
    ///
    /// Reads `candidates` and `keep: [images, capacity]`, `order` and `rows` of [`Rank`], and `steps: [Row]`;
    /// updates `settled: [images, room]`, the [`Counter`]s `middle` (the ranked candidates) and `to` (the
    /// settled ones), and with one image the first word of each of `items: [steps]` entries of
    /// [`Counted::WORDS`].
    pub struct Settle {
        images: u32, capacity: u32, words: u32, room: u32, list: u32, middle: u32, to: u32, steps: u32, square: u32, extra: f32,
    }
}

/// Bound on the magnitude of the corners of squared boxes, px: representable as an integer and beyond any
/// frame.
const FARTHEST: f32 = 1_048_576.0;

impl Settle {
    /// Creates the kernel for list number `lists[0]` of each image, which holds at most `capacity` candidates
    /// (no more than 16,384). The ranked candidates are counted as list `lists[1]`, the settled ones, of
    /// which there is `room`, as list `lists[2]`.
    pub fn new(images: u32, capacity: u32, room: u32, [list, middle, to]: [u32; 3]) -> Self {
        Self { images, capacity, words: capacity.div_ceil(32), room, list, middle, to, steps: 0, square: 0, extra: 0.0 }
    }

    /// Prepares boxes for cropping: their width is `x2 - x1 + extra`, with 0 after P-Net and 1 after R-Net.
    #[must_use]
    pub fn squared(self, extra: f32) -> Self {
        Self { square: 1, extra, ..self }
    }

    /// With one image, also writes the numbers of items of `steps` steps.
    #[must_use]
    pub fn counting(self, steps: u32) -> Self {
        Self { steps, ..self }
    }

    /// Computed in f32, operation by operation as on the GPU, so that truncation gives the same integers.
    fn refined(&self, candidate: &Candidate) -> Candidate {
        if self.square == 0 {
            return *candidate;
        }
        let ([x1, y1, x2, y2], [dx1, dy1, dx2, dy2]) = (candidate.corners, candidate.offsets);
        let (w, h) = (x2 - x1 + self.extra, y2 - y1 + self.extra);
        let (x1, y1, x2, y2) = (x1 + dx1 * w, y1 + dy1 * h, x2 + dx2 * w, y2 + dy2 * h);
        let (w, h) = (x2 - x1, y2 - y1);
        let side = w.max(h);
        let (x, y) = (x1 + (w - side) * 0.5, y1 + (h - side) * 0.5);
        Candidate { corners: [x, y, x + side, y + side].map(|corner| corner.clamp(-FARTHEST, FARTHEST).trunc()), ..*candidate }
    }
}

impl Kernel for Settle {
    const NAME: &'static str = "settle";
    const WGSL: &'static [&'static str] = wgsl!("select/settle", "shared/greedy", "shared/boxes", "shared/counter", "shared/rows");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[
        Binding::READ,
        Binding::READ_U32,
        Binding::READ_U32,
        Binding::READ_U32,
        Binding::READ_U32,
        Binding::UPDATE,
        Binding::UPDATE_U32,
        Binding::UPDATE_U32,
    ];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.images * 256)
    }

    fn sizes(&self) -> Vec<usize> {
        let all = (self.images * self.capacity) as usize;
        let lists = self.list.max(self.middle).max(self.to);
        let (steps, settled) = (self.steps as usize, (self.images * self.room) as usize * Candidate::WORDS);
        let counters = Counter::size(lists, self.images);
        vec![all * Candidate::WORDS, all, all, all * self.words as usize, steps * Row::WORDS, settled, counters, steps * Counted::WORDS]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, words, room) = (self.capacity as usize, self.words as usize, self.room as usize);
        let [keep, order, rows] = [1, 2, 3].map(|i| bytemuck::cast_slice::<f32, u32>(read[i]));
        let [settled, counters, items] = write else { unreachable!("checked when recorded") };
        for image in 0..self.images as usize {
            let before = Counter::at(counters, self.list, self.images, image);
            let first = image * capacity;
            let held = before.held.min(self.capacity) as usize;
            let keep = &keep[first..][..held];
            let ranked = keep.iter().filter(|keep| **keep == 1).count();
            let fault = u32::from(before.fault != 0 || keep.contains(&2));
            let order = &order[first..][..ranked];
            let kept = greedy(order, &rows[first * words..], words, 0..held.div_ceil(32));
            let kept = order.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(i, _)| first + *i as usize);
            let total = kept.clone().count() as u32;
            let settled = Candidate::list_mut(settled)[image * room..][..room].iter_mut();
            settled.zip(kept).for_each(|(settled, i)| *settled = self.refined(&Candidate::list(read[0])[i]));
            let counter = |held, wanted| Counter { held, wanted, fault, ..Counter::default() };
            Counter::put(counters, self.middle, self.images, image, counter(ranked as u32, ranked as u32));
            Counter::put(counters, self.to, self.images, image, counter(total.min(self.room), total));
        }
        if self.images == 1 {
            let held = Counter::held(counters, self.to, 1, 0);
            Row::count(&Row::list(read[4])[..self.steps as usize], held, items);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (capacity, words, room) = (self.capacity as usize, self.words as usize, self.room as usize);
        let [keep, order, rows] = [1, 2, 3].map(|i| bytemuck::cast_slice::<f32, u32>(read[i]));
        let [settled, counters, items] = write else { unreachable!("checked when recorded") };
        let list = Candidate::list(read[0]);
        for image in 0..self.images as usize {
            let settled = &mut Candidate::list_mut(settled)[image * room..][..room];
            let before = Counter::at(counters, self.list, self.images, image);
            let (first, held) = (image * capacity, before.held.min(self.capacity) as usize);
            let (mut ranked, mut fault) = (0, before.fault.min(1));
            for keep in &keep[first..first + held] {
                ranked += u32::from(*keep == 1);
                fault |= u32::from(*keep == 2);
            }
            let mut keepers = Keepers::new(&rows[first * words..][..capacity * words], words);
            let mut total = 0;
            for &i in &order[first..first + ranked as usize] {
                if keepers.keeps(i as usize, 0..held) {
                    if let Some(settled) = settled.get_mut(total as usize) {
                        *settled = self.refined(&list[first + i as usize]);
                    }
                    total += 1;
                }
            }
            let held = total.min(self.room);
            Counter::put(counters, self.middle, self.images, image, Counter { fault, ..Counter::of(ranked) });
            Counter::put(counters, self.to, self.images, image, Counter { held, wanted: total, fault, ..Counter::default() });
            if self.images == 1 {
                Row::count(&Row::list(read[4])[..self.steps as usize], held, items);
            }
        }
    }

    /// Where corners are truncated, a rounding error may yield the next integer.
    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        if self.square == 1 { 1.0 } else { 0.0 }
    }
}

impl Samples for Settle {
    fn samples() -> Vec<Sample<Self>> {
        // The counters are noise, which as integers means full lists; the cascade tests shorter ones.
        [(1, 1, 1), (1, 31, 31), (1, 64, 20), (3, 300, 60), (1, 1100, 900), (1, 16_384, 40)]
            .map(|(images, capacity, room): (u32, u32, u32)| {
                let all = (images * capacity) as usize;
                let list: Vec<f32> = bytemuck::cast_slice(&sample_list(all, 6)).to_vec();
                let stride = if capacity > 5000 { 161 } else { 1 };
                let keep = words((0..all).map(|i| if i == 40 { 2 } else { u32::from(i % 5 != 3 && i % stride == 0) }));
                let rank = Rank::new(images, capacity, 0, NmsRule { threshold: 0.5, smaller: false, same_tag: false });
                let (mut order, mut rows) = (vec![0.0; all], vec![0.0; all * capacity.div_ceil(32) as usize]);
                rank.reference(1, &[&list, &keep, &lists(&[vec![capacity; images as usize]])], &mut [&mut order, &mut rows]);
                let steps = [7, 0].map(|first| Row { first, most: 100 });
                let kernel = Self::new(images, capacity, room, [0, 1, 2]).counting(2);
                let kernel = if capacity == 300 { kernel } else { kernel.squared(1.0) };
                let steps = words(bytemuck::cast_slice(&steps).iter().copied());
                Sample { kernel, read: vec![list, keep, order, rows, steps] }
            })
            .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_box_grows_to_a_square_about_its_centre_and_is_truncated_toward_zero() {
        let mut flat = Candidate::new([1.0, 10.0, 21.0, 20.0], 0.9, 0.0);
        let corners = |extra, flat: &Candidate| Settle::new(1, 1, 1, [0, 1, 2]).squared(extra).refined(flat).corners;
        assert_eq!(corners(1.0, &flat), [1.0, 5.0, 21.0, 25.0]);
        flat.offsets = [-0.1, 0.0, 0.0, 0.0];
        // x1 = 1 - 2.1 = -1.1, side 22.1, y1 = 10 - 6.05
        assert_eq!(corners(1.0, &flat), [-1.0, 3.0, 21.0, 26.0]);
        assert_eq!(corners(0.0, &flat)[0], -1.0);
    }
}
