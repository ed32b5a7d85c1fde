//! Box regression, squaring, truncation.

use super::{Candidate, Counter, sample_list, slot};
use crate::kernels::{Sample, Samples, largest, wgsl};
use crate::record::{Binding, Kernel, Work};

crate::uniform! {
    /// Moves each box by its regression; for the next net also squares it and truncates its corners (spec sections 3.3, 3.4).
    ///
    /// Reads `candidates: [capacity]` and their [`Counter`]; updates `refined: [capacity]`.
    pub struct Refine { capacity: u32, extra: f32, square: u32 }
}

/// Corners of squared boxes are held within ± this, px: what an integer and any frame can express.
const FARTHEST: f32 = 1_048_576.0;

impl Refine {
    /// Boxes are `x2 - x1 + extra` wide: 0 after P-Net, 1 after R- and O-Net.
    pub fn new(capacity: u32, extra: f32, square: bool) -> Self {
        Self { capacity, extra, square: u32::from(square) }
    }

    /// In f32, operation by operation as on the GPU: what is truncated should fall on the same side.
    fn corners(&self, candidate: &Candidate) -> [f32; 4] {
        let ([x1, y1, x2, y2], [dx1, dy1, dx2, dy2]) = (candidate.corners, candidate.offsets);
        let (w, h) = (x2 - x1 + self.extra, y2 - y1 + self.extra);
        let (x1, y1, x2, y2) = (x1 + dx1 * w, y1 + dy1 * h, x2 + dx2 * w, y2 + dy2 * h);
        if self.square == 0 {
            return [x1, y1, x2, y2];
        }
        let (w, h) = (x2 - x1, y2 - y1);
        let side = w.max(h);
        let (x, y) = (x1 + (w - side) * 0.5, y1 + (h - side) * 0.5);
        [x, y, x + side, y + side].map(|corner| corner.clamp(-FARTHEST, FARTHEST).trunc())
    }
}

impl Kernel for Refine {
    const NAME: &'static str = "refine";
    const WGSL: &'static [&'static str] = wgsl!("select/refine", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::UPDATE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.capacity)
    }

    fn sizes(&self) -> Vec<usize> {
        let list = self.capacity as usize * Candidate::WORDS;
        vec![list, Counter::WORDS, list]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let held = Counter::read(read[1]).held.min(self.capacity) as usize;
        for (candidate, refined) in Candidate::list(read[0]).iter().zip(Candidate::list_mut(write[0])).take(held) {
            *refined = Candidate { corners: self.corners(candidate), ..*candidate };
        }
    }

    /// A few roundings of the largest coordinate; where corners are truncated, a rounding may decide for the next integer.
    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        if self.square == 1 {
            return 1.0;
        }
        let held = Counter::read(read[1]).held.min(self.capacity) as usize;
        let corners = |c: &Candidate| largest(&c.corners) * (1.0 + largest(&c.offsets));
        4.0 * f32::EPSILON * Candidate::list(read[0])[..held].iter().map(corners).fold(1.0, f32::max)
    }
}

impl Samples for Refine {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 0.0, false), (65, 64, 1.0, false), (300, 257, 0.0, true), (129, 129, 1.0, true), (8, 0, 1.0, true)]
            .map(|(capacity, held, extra, square)| Sample {
                kernel: Self::new(capacity, extra, square),
                read: vec![slot(&sample_list(capacity as usize, 7), capacity as usize), Counter::of(held).words()],
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
        assert_eq!(Refine::new(1, 1.0, true).corners(&flat), [1.0, 5.0, 21.0, 25.0]);
        flat.offsets = [-0.1, 0.0, 0.0, 0.0];
        // x1 = 1 - 2.1 = -1.1, side 22.1, y1 = 10 - 6.05
        assert_eq!(Refine::new(1, 1.0, true).corners(&flat), [-1.0, 3.0, 21.0, 26.0]);
        assert_eq!(Refine::new(1, 0.0, false).corners(&flat)[0], -1.0);
    }
}
