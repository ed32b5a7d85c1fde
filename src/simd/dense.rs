//! Items through a fully connected layer.

use super::tile::{Lanes, Window, channels};
use super::{Task, Vector};

/// Items that share a load of the weights.
pub(crate) const ITEMS: usize = 8;

/// At most [`ITEMS`] items through a fully connected layer.
pub(crate) struct DenseItems<'a> {
    /// `[items, inputs]`.
    pub x: &'a [f32],
    /// Values of an item.
    pub inputs: usize,
    /// `[inputs, padded]`.
    pub weight: &'a [f32],
    /// `[padded]`.
    pub bias: &'a [f32],
    /// `[padded]`.
    pub slope: &'a [f32],
    /// Outputs, rounded up.
    pub padded: usize,
    /// Outputs of an item.
    pub out: usize,
    /// `[items, out]`.
    pub y: &'a mut [f32],
}

impl Task for DenseItems<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let items = self.y.len() / self.out;
        assert!((1..=ITEMS).contains(&items) && self.x.len() >= items * self.inputs, "whole items");
        assert!(self.weight.len() >= self.inputs * self.padded && self.bias.len() >= self.padded, "whole weights");
        assert!(self.slope.len() >= self.padded && self.out <= self.padded, "whole slopes");
        let mut first = 0;
        while first + V::LANES <= self.padded {
            self.tile::<V>(first, items);
            first += V::LANES;
        }
        self.rest(first);
    }
}

impl DenseItems<'_> {
    #[inline(always)]
    fn tile<V: Vector>(&mut self, first: usize, items: usize) {
        let window = Window { c: 1, plane: 0, rows: 1, width: 0, columns: self.inputs };
        let places: [usize; ITEMS] = std::array::from_fn(|item| item.min(items - 1) * self.inputs);
        let mut sums = [0.0_f32; ITEMS * 16];
        // SAFETY: `run` checked that x holds the items, and weights, bias and slope `padded` lanes, of which `first + LANES` are no more.
        unsafe {
            let weight = Lanes { first: self.weight.as_ptr().add(first), offsets: [0], stride: self.padded };
            let parameters = [self.bias.as_ptr().add(first), self.slope.as_ptr().add(first)];
            channels::<V, 1, ITEMS, false>(window, self.x.as_ptr(), &places, weight, parameters, sums.as_mut_ptr());
        }
        let lanes = V::LANES.min(self.out.saturating_sub(first));
        for (y, sums) in self.y.chunks_exact_mut(self.out).zip(sums.chunks_exact(V::LANES)) {
            y[first.min(self.out)..][..lanes].copy_from_slice(&sums[..lanes]);
        }
    }

    /// Outputs that do not fill a vector.
    #[inline(always)]
    fn rest(&mut self, first: usize) {
        for (y, x) in self.y.chunks_exact_mut(self.out).zip(self.x.chunks_exact(self.inputs)) {
            for (o, y) in y.iter_mut().enumerate().skip(first) {
                let weights = self.weight[o..].iter().step_by(self.padded);
                let sum = x.iter().zip(weights).fold(self.bias[o], |sum, (x, weight)| sum + x * weight);
                *y = if sum > 0.0 { sum } else { self.slope[o] * sum };
            }
        }
    }
}
