//! Kernels that choose candidates: decode, ranking, NMS, regression. Boxes are 1-based inclusive pixel corners (spec section 3).
//!
//! Lists of several images lie side by side, `[images, capacity]`; their lengths in one table of [`Counter`]s, `[lists, images]`.

mod arguments;
mod decode;
mod faces;
mod judge;
mod rank;
mod settle;
mod suppress;
#[cfg(test)]
mod tests;

pub use arguments::{Arguments, CountedSteps, Row, counted};
pub use decode::{CellBand, Decode};
pub use faces::Faces;
pub use judge::Judge;
pub use rank::Rank;
pub use settle::Settle;
pub use suppress::Suppress;

use crate::tensor::noise;

/// A box that a net proposed (`shared/boxes.wgsl`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Candidate {
    /// `x1, y1, x2, y2`.
    pub corners: [f32; 4],
    /// Box regression by the net that scored it, in units of the box side.
    pub offsets: [f32; 4],
    /// Face probability.
    pub score: f32,
    /// Stage 1: pyramid level; later: row of the list that the net saw.
    pub tag: f32,
    unused: [f32; 2],
}

impl Candidate {
    /// Four-byte words of a candidate.
    pub const WORDS: usize = 12;

    /// A candidate without offsets.
    pub fn new(corners: [f32; 4], score: f32, tag: f32) -> Self {
        Self { corners, offsets: [0.0; 4], score, tag, unused: [0.0; 2] }
    }

    /// The candidates in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }

    /// The candidates in a slot, to be written.
    pub fn list_mut(slot: &mut [f32]) -> &mut [Self] {
        bytemuck::cast_slice_mut(slot)
    }

    /// Whether two candidates overlap by more than `threshold`: of their union, or of the smaller box. In f32 as on the GPU: a comparison
    /// must fall on the same side everywhere, and on integer corners every term but the last product is exact.
    fn overlaps(&self, other: &Self, threshold: f32, smaller: bool) -> bool {
        let (a, b) = (self.corners, other.corners);
        let width = (a[2].min(b[2]) - a[0].max(b[0]) + 1.0).max(0.0);
        let height = (a[3].min(b[3]) - a[1].max(b[1]) + 1.0).max(0.0);
        let shared = width * height;
        let whole = if smaller { self.area().min(other.area()) } else { self.area() + other.area() - shared };
        shared > threshold * whole
    }

    fn area(&self) -> f32 {
        let [x1, y1, x2, y2] = self.corners;
        (x2 - x1 + 1.0) * (y2 - y1 + 1.0)
    }
}

/// Length of a list (`shared/counter.wgsl`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Counter {
    /// Candidates that the list holds.
    pub held: u32,
    /// Candidates that there would be if lists had no end.
    pub wanted: u32,
    /// 1 if a NaN was met on the way.
    pub fault: u32,
    unused: u32,
}

impl Counter {
    /// Four-byte words of a counter.
    pub const WORDS: usize = 4;

    /// A list of `held` candidates that lost none.
    pub fn of(held: u32) -> Self {
        Self { held, wanted: held, ..Self::default() }
    }

    /// The counter in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(slot)[0]
    }

    /// Elements of a table of counters up to list number `list`.
    pub(in crate::kernels) fn size(list: u32, images: u32) -> usize {
        ((list + 1) * images) as usize * Self::WORDS
    }

    /// That of list number `list` of an image.
    pub fn at(counters: &[f32], list: u32, images: u32, image: usize) -> Self {
        bytemuck::cast_slice(counters)[(list * images) as usize + image]
    }

    /// [`Counter::held`] of a list.
    fn held(counters: &[f32], list: u32, images: u32, image: usize) -> u32 {
        Self::at(counters, list, images, image).held
    }

    fn put(counters: &mut [f32], list: u32, images: u32, image: usize, counter: Self) {
        bytemuck::cast_slice_mut(counters)[(list * images) as usize + image] = counter;
    }
}

/// A table of counters for samples: by list and image, how many are held.
fn lists(held: &[Vec<u32>]) -> Vec<f32> {
    let counters: Vec<Counter> = held.iter().flatten().map(|&held| Counter::of(held)).collect();
    bytemuck::cast_slice(&counters).to_vec()
}

/// Overlap that NMS tolerates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NmsRule {
    /// Largest tolerated overlap.
    pub threshold: f32,
    /// Of the smaller box instead of the union.
    pub smaller: bool,
    /// Only candidates of one tag suppress each other.
    pub same_tag: bool,
}

/// Greedy NMS, the twin of `shared/greedy.wgsl`: which of the candidates in `order` are kept. `rows` are bits by place, `words` a row, of
/// which `used` are written.
fn greedy(order: &[u32], rows: &[u32], words: usize, used: std::ops::Range<usize>) -> Vec<bool> {
    let mut gone = vec![0_u32; used.end];
    let mut keep = |&i: &u32| {
        let i = i as usize;
        let kept = gone[i / 32] >> (i % 32) & 1 == 0;
        if kept {
            let row = &rows[i * words..][..words];
            used.clone().for_each(|w| gone[w] |= row[w]);
        }
        kept
    };
    order.iter().map(&mut keep).collect()
}

/// Greedy NMS for the CPU engine: candidates are shown best first, and each that is kept has its row of bits
/// remembered.
struct Keepers<'a> {
    rows: &'a [u32],
    words: usize,
    gone: Vec<u32>,
}

impl<'a> Keepers<'a> {
    /// Over rows of `words` words.
    fn new(rows: &'a [u32], words: usize) -> Self {
        Self { rows, words, gone: vec![0; words] }
    }

    /// Whether no kept one suppresses candidate `i`; if so, it is kept, and suppresses among the candidates
    /// in `places`.
    fn keeps(&mut self, i: usize, places: std::ops::Range<usize>) -> bool {
        let kept = self.gone[i / 32] >> (i % 32) & 1 == 0;
        if kept {
            let used = places.start / 32..places.end.div_ceil(32);
            let row = &self.rows[i * self.words..][..self.words];
            self.gone[used.clone()].iter_mut().zip(&row[used]).for_each(|(gone, bits)| *gone |= bits);
        }
        kept
    }
}

/// Image and place in its list of item number `item`, the items of all images in a row: the twin of `shared/images.wgsl`.
pub(super) fn image_of(item: u32, counters: &[f32], list: u32, images: u32) -> (usize, u32) {
    let mut place = item;
    for image in 0..images as usize - 1 {
        let held = Counter::held(counters, list, images, image);
        if place < held {
            return (image, place);
        }
        place -= held;
    }
    (images as usize - 1, place)
}

/// `n` candidates on a small integer grid, so that many overlap, with many equal scores, for samples.
fn sample_list(n: usize, seed: u64) -> Vec<Candidate> {
    noise(n * 8, seed)
        .chunks_exact(8)
        .map(|r| {
            let (x, y, side) = ((r[0] * 20.0).trunc(), (r[1] * 20.0).trunc(), (20.0 + r[2] * 12.0).trunc());
            let mut c =
                Candidate::new([x, y, x + side, y + side + (r[3] * 3.0).trunc()], (r[4] * 8.0).trunc() / 16.0 + 0.5, (r[5] * 2.5).trunc());
            c.offsets = [r[6] * 0.2, r[7] * 0.2, r[3] * 0.2, r[5] * 0.2];
            c
        })
        .collect()
}
