//! A net's verdict on its crops.

use super::{Candidate, Counter, PROBABILITY_TOLERANCE, face_probability, sample_list, slot};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

crate::uniform! {
    /// Probability, offsets and landmarks of crops `first .. first + n` into the list (spec section 3.5).
    ///
    /// Reads `candidates: [capacity]`, their [`Counter`], `heads: [n, outputs]` and the same of mirrored crops; updates
    /// `scored: [capacity]`, `keep: [capacity]` and, with 16 outputs, `landmarks: [capacity, 10]`.
    pub struct Score { capacity: u32, n: u32, first: u32, outputs: u32, mirror: u32, threshold: f32 }
}

impl Score {
    /// Outputs of a net with landmarks: two logits, four offsets, ten coordinates.
    pub const WITH_LANDMARKS: u32 = 16;

    /// A chunk of `n` crops from `first` on, scored by a net with `outputs` outputs a crop.
    pub fn new(capacity: u32, [first, n]: [u32; 2], outputs: u32, threshold: f32, mirror: bool) -> Self {
        Self { capacity, n, first, outputs, mirror: u32::from(mirror), threshold }
    }

    fn landmarks(&self, heads: &[f32], mirrored: &[f32]) -> [f32; 10] {
        // In the mirror left and right change places: landmarks 0 and 1, 3 and 4.
        const PARTNER: [usize; 5] = [1, 0, 2, 4, 3];
        std::array::from_fn(|k| {
            let (axis, k) = (k / 5, k % 5);
            let (own, other) = (f64::from(heads[6 + axis * 5 + k]), f64::from(mirrored[6 + axis * 5 + PARTNER[k]]));
            let other = if axis == 0 { 1.0 - other } else { other };
            (if self.mirror == 1 { (own + other) / 2.0 } else { own }) as f32
        })
    }
}

impl Kernel for Score {
    const NAME: &'static str = "score";
    const WGSL: &'static [&'static str] = wgsl!("select/score", "shared/boxes", "shared/counter", "shared/probability");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] =
        &[Binding::READ, Binding::READ_U32, Binding::READ, Binding::READ, Binding::UPDATE, Binding::UPDATE_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.n)
    }

    fn sizes(&self) -> Vec<usize> {
        let (capacity, heads) = (self.capacity as usize, (self.n * self.outputs) as usize);
        let landmarks = if self.outputs == Self::WITH_LANDMARKS { capacity * 10 } else { 1 };
        let list = capacity * Candidate::WORDS;
        vec![list, Counter::WORDS, heads, if self.mirror == 1 { heads } else { 1 }, list, capacity, landmarks]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = Counter::read(read[1]).held.min(self.capacity);
        let (outputs, with_landmarks) = (self.outputs as usize, self.outputs == Self::WITH_LANDMARKS);
        for i in (self.first..held).take(self.n as usize) {
            let at = (i - self.first) as usize * outputs;
            let heads = &read[2][at..at + outputs];
            let candidate = Candidate::list(read[0])[i as usize];
            let score = face_probability(heads[0], heads[1]);
            let [x1, y1, x2, y2] = candidate.corners;
            let good = score > self.threshold && x2 - x1 + 1.0 > 0.0 && y2 - y1 + 1.0 > 0.0;
            let keep = if score.is_nan() { 2 } else { u32::from(good) };
            write[1][i as usize] = f32::from_bits(keep);
            let offsets = [heads[2], heads[3], heads[4], heads[5]];
            let score = if score.is_nan() { 0.0 } else { score };
            Candidate::list_mut(write[0])[i as usize] = Candidate { score, offsets, tag: i as f32, ..candidate };
            if with_landmarks {
                let mirrored = if self.mirror == 1 { &read[3][at..at + outputs] } else { heads };
                write[2][i as usize * 10..][..10].copy_from_slice(&self.landmarks(heads, mirrored));
            }
        }
    }

    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        PROBABILITY_TOLERANCE
    }
}

impl Samples for Score {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, [0, 1], 6, false), (200, 150, [64, 100], 6, false), (70, 70, [0, 70], 16, false), (70, 69, [65, 5], 16, true)]
            .map(|(capacity, held, [first, n], outputs, mirror)| {
                let mut list = sample_list(capacity as usize, 8);
                let last = list.len() - 1;
                list[last].corners = [5.0, 5.0, 4.0, 9.0];
                let mut heads = noise((n * outputs) as usize, 9);
                if n > 3 {
                    heads[outputs as usize * 2] = f32::NAN;
                }
                let mirrored = noise((n * outputs) as usize, 10);
                Sample {
                    kernel: Self::new(capacity, [first, n], outputs, 0.55, mirror),
                    read: vec![slot(&list, capacity as usize), Counter::of(held).words(), heads, mirrored],
                }
            })
            .to_vec()
    }
}
