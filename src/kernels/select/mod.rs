//! Kernels that select candidates: decoding, ranking, NMS, regression. Boxes are 1-based inclusive pixel
//! corners (spec section 3).
//!
//! Lists of several images are stored side by side, `[images, capacity]`; their lengths are in one table of
//! [`Counter`]s, `[lists, images]`.

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
    /// Box regression from the net that scored the candidate, in units of the box side.
    pub offsets: [f32; 4],
    /// Face probability.
    pub score: f32,
    /// Pyramid level in stage 1; in later stages the row in the list that the net processed.
    pub tag: f32,
    unused: [f32; 2],
}

impl Candidate {
    /// Size of a candidate in four-byte words.
    pub const WORDS: usize = 12;

    /// Creates a candidate without offsets.
    pub fn new(corners: [f32; 4], score: f32, tag: f32) -> Self {
        Self { corners, offsets: [0.0; 4], score, tag, unused: [0.0; 2] }
    }

    /// Returns the candidates in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }

    /// Returns the candidates in a slot, mutably.
    pub fn list_mut(slot: &mut [f32]) -> &mut [Self] {
        bytemuck::cast_slice_mut(slot)
    }

    /// Returns whether two candidates overlap by more than `threshold` of their union or of the smaller box.
    /// Computed in f32 as on the GPU: a comparison must have the same result everywhere, and on integer
    /// corners every term but the last product is exact.
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
    /// Number of candidates in the list.
    pub held: u32,
    /// Number of candidates that an unbounded list would hold.
    pub wanted: u32,
    /// 1 if a NaN was found.
    pub fault: u32,
    unused: u32,
}

impl Counter {
    /// Size of a counter in four-byte words.
    pub const WORDS: usize = 4;

    /// Creates the counter of a list of `held` candidates that lost none.
    pub fn of(held: u32) -> Self {
        Self { held, wanted: held, ..Self::default() }
    }

    /// Returns the counter in a slot.
    pub fn read(slot: &[f32]) -> Self {
        bytemuck::cast_slice(slot)[0]
    }

    /// Returns the number of elements of a table of counters up to list number `list`.
    pub(in crate::kernels) fn size(list: u32, images: u32) -> usize {
        ((list + 1) * images) as usize * Self::WORDS
    }

    /// Returns the counter of list number `list` of an image.
    pub fn at(counters: &[f32], list: u32, images: u32, image: usize) -> Self {
        bytemuck::cast_slice(counters)[(list * images) as usize + image]
    }

    /// Returns [`Counter::held`] of list number `list` of an image.
    fn held(counters: &[f32], list: u32, images: u32, image: usize) -> u32 {
        Self::at(counters, list, images, image).held
    }

    fn put(counters: &mut [f32], list: u32, images: u32, image: usize, counter: Self) {
        bytemuck::cast_slice_mut(counters)[(list * images) as usize + image] = counter;
    }
}

/// Returns a table of counters for samples, given the number of candidates by list and image.
fn lists(held: &[Vec<u32>]) -> Vec<f32> {
    let counters: Vec<Counter> = held.iter().flatten().map(|&held| Counter::of(held)).collect();
    bytemuck::cast_slice(&counters).to_vec()
}

/// The overlap that NMS tolerates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NmsRule {
    /// Largest tolerated overlap.
    pub threshold: f32,
    /// Whether the overlap is relative to the smaller box instead of the union.
    pub smaller: bool,
    /// Whether only candidates with the same tag suppress each other.
    pub same_tag: bool,
}

/// Greedy NMS, the twin of `shared/greedy.wgsl`: returns which of the candidates in `order` are kept. `rows`
/// are bits by place, with `words` words per row, of which those in `used` are written.
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

/// Greedy NMS for the CPU engine: candidates are visited best first, and the rows of bits of those that are
/// kept are accumulated.
struct Keepers<'a> {
    rows: &'a [u32],
    words: usize,
    gone: Vec<u32>,
}

impl<'a> Keepers<'a> {
    /// Creates an empty set over rows of `words` words.
    fn new(rows: &'a [u32], words: usize) -> Self {
        Self { rows, words, gone: vec![0; words] }
    }

    /// Returns whether no kept candidate suppresses candidate `i`. If so, `i` is kept as well and suppresses
    /// candidates in `places`.
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

/// Returns the image of item number `item`, counted over the items of all images in sequence, and its place
/// in that image's list: the twin of `shared/images.wgsl`.
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

/// Returns `n` candidates for samples, on a small integer grid so that many overlap, with many equal scores.
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
