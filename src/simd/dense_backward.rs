//! Gradients of a fully connected layer's inputs and weights.

use super::dense::OUTPUTS;
use super::maps::{PIXELS, pixels, vectors, with_tile};
use super::scratch::Scratch;
use super::tile::{GROUP, Lanes, Window, tile};
use super::vector::transpose;
use super::{Task, Vector};

/// Adds to the input gradient of at most 8 items.
pub(crate) struct DenseBackwardInputs<'a> {
    /// Gradient of the output, `[items, out]`.
    pub dy: &'a [f32],
    /// Number of outputs per item.
    pub out: usize,
    /// Weights, `[inputs, padded]`.
    pub weight: &'a [f32],
    /// Number of outputs, rounded up.
    pub padded: usize,
    /// Number of inputs per item.
    pub inputs: usize,
    /// Gradient of the input, `[items, inputs]`, added to.
    pub dx: &'a mut [f32],
}

const ITEMS: usize = 8;

impl Task for DenseBackwardInputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let items = self.dx.len() / self.inputs;
        assert!((1..=ITEMS).contains(&items) && self.dy.len() >= items * self.out, "whole items");
        assert!(self.weight.len() >= self.inputs * self.padded && self.out <= self.padded, "whole weights");
        if V::REGISTERS >= 32 { self.sweep::<V, 2>(items) } else { self.sweep::<V, 1>(items) }
    }
}

impl DenseBackwardInputs<'_> {
    /// Processes `I` inputs of all items at a time.
    #[inline(always)]
    fn sweep<V: Vector, const I: usize>(&mut self, items: usize) {
        let whole = self.out / V::LANES * V::LANES;
        let rows: [usize; ITEMS] = std::array::from_fn(|item| item.min(items - 1) * self.out);
        for first in (0..self.inputs).step_by(I) {
            let places: [usize; I] = std::array::from_fn(|i| (first + i).min(self.inputs - 1) * self.padded);
            let mut sums = [V::splat(0.0); 16];
            for o in (0..whole).step_by(V::LANES) {
                // SAFETY: a vector starting at `o` ends within `out`, and each row of `dy` and of the weights
                // has at least `out` elements.
                unsafe {
                    let mut weights = [V::splat(0.0); I];
                    for (weight, place) in weights.iter_mut().zip(&places) {
                        *weight = V::load(self.weight.as_ptr().add(place + o));
                    }
                    for (item, row) in rows.iter().enumerate() {
                        let d = V::load(self.dy.as_ptr().add(row + o));
                        for (i, weight) in weights.iter().enumerate() {
                            let sum = &mut sums[i * ITEMS + item];
                            *sum = weight.mul_add(d, *sum);
                        }
                    }
                }
            }
            let totals = totals(&sums);
            for (i, place) in places.iter().enumerate().take(self.inputs - first) {
                for (item, row) in rows.iter().enumerate().take(items) {
                    let rest = self.weight[place + whole..place + self.out].iter().zip(&self.dy[row + whole..]);
                    let rest = rest.map(|(weight, d)| weight * d).sum::<f32>();
                    self.dx[item * self.inputs + first + i] += totals[i * ITEMS + item] + rest;
                }
            }
        }
    }
}

/// Returns the sum of the lanes of each vector.
#[inline(always)]
fn totals<V: Vector>(sums: &[V; 16]) -> [f32; 16] {
    let mut totals = [0.0; 16];
    for (sums, totals) in sums.chunks_exact(V::LANES).zip(totals.chunks_exact_mut(V::LANES)) {
        let mut columns = [V::splat(0.0); 16];
        columns[..V::LANES].copy_from_slice(sums);
        transpose(&mut columns);
        let mut total = columns[0];
        for column in &columns[1..V::LANES] {
            total = total.add(*column);
        }
        // SAFETY: `totals` has room for the elements of a vector.
        unsafe { total.store(totals.as_mut_ptr()) };
    }
    totals
}

/// Adds to the gradient of the weights of adjacent inputs, summed over all items.
pub(crate) struct DenseBackwardWeights<'a> {
    /// Input, `[items, inputs]`.
    pub x: &'a [f32],
    /// Number of inputs per item.
    pub inputs: usize,
    /// Gradient of the output, `[items, out]`.
    pub dy: &'a [f32],
    /// Number of outputs per item.
    pub out: usize,
    /// First input to compute.
    pub first: usize,
    /// Number of outputs, rounded up.
    pub padded: usize,
    /// Weight gradient of the inputs starting at `first`, `[.., padded]`; added to.
    pub dweight: &'a mut [f32],
}

impl Task for DenseBackwardWeights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let items = self.dy.len() / self.out;
        let count = self.dweight.len() / self.padded;
        assert!(self.first + count <= self.inputs && self.x.len() >= items * self.inputs && self.out <= self.padded, "inputs of the layer");
        let mut memory = Scratch::take();
        let [side, sums] = memory.parts([items * OUTPUTS, PIXELS * OUTPUTS]);
        for column in (0..self.out).step_by(OUTPUTS) {
            // The gradients of these outputs are copied side by side, so that they are read in order.
            let kept = OUTPUTS.min(self.out - column);
            for (to, dy) in side.chunks_exact_mut(OUTPUTS).zip(self.dy.chunks_exact(self.out)) {
                to[..kept].copy_from_slice(&dy[column..][..kept]);
                to[kept..].fill(0.0);
            }
            let mut lane = 0;
            while lane < kept {
                let n = vectors::<V>(kept.next_multiple_of(GROUP), lane);
                self.tiles::<V>(&side[lane..items * OUTPUTS], sums, column + lane, n);
                lane += n * V::LANES;
            }
        }
    }
}

impl DenseBackwardWeights<'_> {
    /// Computes `n` vectors of outputs, starting at `column`, whose gradients are the first in each
    /// [`OUTPUTS`] elements of `dy`.
    #[inline(always)]
    fn tiles<V: Vector>(&mut self, dy: &[f32], sums: &mut [f32], column: usize, n: usize) {
        let (items, count, lanes) = (self.dy.len() / self.out, self.dweight.len() / self.padded, n * V::LANES);
        assert!(dy.len() >= (items - 1) * OUTPUTS + lanes && sums.len() >= PIXELS * lanes, "gradients of all items");
        let window = Window { c: items, plane: self.inputs, rows: 1, width: 0, columns: 1 };
        let p = pixels::<V>(n, count);
        let kept = lanes.min(self.out - column);
        let mut done = 0;
        while done < count {
            let at = done.min(count - p);
            macro_rules! call {
                ($n:literal, $p:literal) => {
                    // SAFETY: gradients were checked above, x by `run`: `p` is at most `count`, and at most
                    // PIXELS.
                    unsafe {
                        let offsets = std::array::from_fn(|i| i * V::LANES);
                        let dy = Lanes { first: dy.as_ptr(), offsets, stride: OUTPUTS };
                        tile::<V, $n, $p>(window, self.x.as_ptr().add(self.first + at), 1, dy, None, sums.as_mut_ptr());
                    }
                };
            }
            with_tile!(V, n, p, call);
            let rows = self.dweight[at * self.padded..].chunks_exact_mut(self.padded).zip(sums.chunks_exact(lanes));
            // Rows that the previous tile has computed already are skipped.
            for (row, sums) in rows.take(p).skip(done - at) {
                row[column..column + kept].iter_mut().zip(sums).for_each(|(weight, sum)| *weight += sum);
            }
            done = at + p;
        }
    }
}
