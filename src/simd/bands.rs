//! Resampling along rows: every result is a weighted sum of a few adjacent inputs, so the matrix of weights
//! is a narrow band.

use super::maps::{PIXELS, pixels, with_tile};
use super::scratch::Scratch;
use super::tile::{Lanes, Window, tile};
use super::{Task, Vector};

/// Number of results that share a band of inputs.
const GROUP: usize = 16;

/// The inputs and weights of each result when resampling along an axis, result after result.
#[derive(Debug, Default)]
pub(crate) struct Taps {
    all: Vec<(usize, f32)>,
    ends: Vec<usize>,
}

impl Taps {
    /// Removes all results.
    pub fn clear(&mut self) {
        self.all.clear();
        self.ends.clear();
    }

    /// Appends a result.
    pub fn push(&mut self, taps: impl Iterator<Item = (usize, f32)>) {
        self.all.extend(taps);
        self.ends.push(self.all.len());
    }

    /// Returns the number of results.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns the inputs and weights of result `i`.
    #[inline(always)]
    pub fn get(&self, i: usize) -> &[(usize, f32)] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.all[start..self.ends[i]]
    }
}

/// The weights as matrices: for each group of 16 results, the inputs that they need and the weight of each.
#[derive(Debug, Default)]
pub(crate) struct Bands {
    /// For each group, the first input, the number of inputs, and the start of the weights `[inputs, 16]`.
    groups: Vec<[usize; 3]>,
    weights: Vec<f32>,
    /// Number of results.
    count: usize,
}

impl Bands {
    /// Replaces the contents with `taps`, in reverse order if `mirror`.
    pub fn set(&mut self, taps: &Taps, mirror: bool) {
        self.groups.clear();
        self.weights.clear();
        self.count = taps.len();
        let result = |i: usize| taps.get(if mirror { taps.len() - 1 - i } else { i });
        for first in (0..self.count).step_by(GROUP) {
            let results = first..(first + GROUP).min(self.count);
            let inputs = || results.clone().flat_map(result).map(|(input, _)| *input);
            let low = inputs().min().unwrap_or(0);
            let count = inputs().max().map_or(0, |high| high + 1 - low);
            let start = self.weights.len();
            self.weights.resize(start + count * GROUP, 0.0);
            for (lane, i) in results.clone().enumerate() {
                for (input, weight) in result(i) {
                    self.weights[start + (input - low) * GROUP + lane] += weight;
                }
            }
            self.groups.push([low, count, start]);
        }
    }
}

/// Resamples byte values along rows and normalises them (spec section 1).
pub(crate) struct ResampleLines<'a> {
    /// Input rows, `stride` apart.
    pub x: &'a [f32],
    /// Distance between input rows.
    pub stride: usize,
    /// Weights of the results.
    pub bands: &'a Bands,
    /// Rows of results, one after the other.
    pub y: &'a mut [f32],
}

impl Task for ResampleLines<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let mut memory = Scratch::take();
        let [sums] = memory.parts([PIXELS * GROUP]);
        resample::<V>(self.x, self.stride, self.bands, sums, self.y, self.bands.count);
    }
}

/// Performs [`ResampleLines`] with memory for `PIXELS * GROUP` sums, and writes rows that are `y_stride`
/// apart.
#[inline(always)]
pub(super) fn resample<V: Vector>(x: &[f32], stride: usize, bands: &Bands, sums: &mut [f32], y: &mut [f32], y_stride: usize) {
    let rows = y.len().div_ceil(y_stride);
    let n = if V::LANES == GROUP { 1 } else { 2 };
    assert!(sums.len() >= PIXELS * GROUP && y.len() + y_stride >= rows * y_stride + bands.count, "whole rows");
    let p = pixels::<V>(n, rows);
    for (group, &[low, inputs, start]) in bands.groups.iter().enumerate() {
        assert!(x.len() + stride >= rows * stride + low + inputs, "rows reach as far as the weights");
        let window = Window { c: 1, plane: 0, rows: 1, width: 0, columns: inputs };
        for part in (0..GROUP).step_by(n * V::LANES) {
            let first = group * GROUP + part;
            let kept = bands.count.saturating_sub(first).min(n * V::LANES);
            let mut done = 0;
            while done < rows && kept > 0 {
                let at = done.min(rows - p);
                macro_rules! call {
                    ($n:literal, $p:literal) => {
                        // SAFETY: the band has `inputs` weights per lane; x was checked above; P is at most
                        // PIXELS.
                        unsafe {
                            let offsets = std::array::from_fn(|i| i * V::LANES);
                            let weight = Lanes { first: bands.weights.as_ptr().add(start + part), offsets, stride: GROUP };
                            tile::<V, $n, $p>(window, x.as_ptr().add(at * stride + low), stride, weight, None, sums.as_mut_ptr());
                        }
                    };
                }
                with_tile!(V, n, p, call);
                for row in 0..p {
                    for lane in (0..n * V::LANES).step_by(V::LANES) {
                        let left = kept.saturating_sub(lane).min(V::LANES);
                        // SAFETY: the sums of `p` rows were just written; `left` results of the row are left.
                        unsafe {
                            let sum = V::load(sums.as_ptr().add(row * n * V::LANES + lane));
                            let normal = sum.add(V::splat(-127.5)).mul_add(V::splat(0.007_812_5), V::splat(0.0));
                            if left > 0 {
                                normal.store_first(y.as_mut_ptr().add((at + row) * y_stride + first + lane), left);
                            }
                        }
                    }
                }
                done = at + p;
            }
        }
    }
}
