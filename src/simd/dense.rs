//! Fully connected layers.

use super::maps::{PIXELS, pixels, vectors, with_tile};
use super::scratch::Scratch;
use super::tile::{Lanes, Window, tile};
use super::{PlanesMut, Task, Vector};

/// Number of outputs computed together: enough for any register tile, while their weights fit a core's own
/// cache.
pub(crate) const OUTPUTS: usize = 32;

/// Computes some outputs of a fully connected layer with bias and PReLU, for all items.
pub(crate) struct DenseOutputs<'a> {
    /// Input, `[items, inputs]`.
    pub x: &'a [f32],
    /// Number of inputs per item.
    pub inputs: usize,
    /// Weights, `[inputs, padded]`.
    pub weight: &'a [f32],
    /// Bias, `[padded]`.
    pub bias: &'a [f32],
    /// PReLU slope, `[padded]`.
    pub slope: &'a [f32],
    /// Number of outputs of the layer, rounded up.
    pub padded: usize,
    /// First output to compute.
    pub first: usize,
    /// One plane per item, with at most [`OUTPUTS`] outputs.
    pub y: PlanesMut<'a>,
}

impl Task for DenseOutputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (outputs, items) = (self.y.len(), self.y.planes());
        assert!(outputs <= OUTPUTS && self.x.len() >= items * self.inputs, "whole items");
        assert!(self.first + outputs <= self.padded && self.weight.len() >= self.inputs * self.padded, "whole weights");
        assert!(self.bias.len() >= self.padded && self.slope.len() >= self.padded, "whole biases and slopes");
        let mut memory = Scratch::take();
        let [weight, ends, sums] = memory.parts([self.inputs * OUTPUTS, 2 * OUTPUTS, PIXELS * OUTPUTS]);
        // The weights of these outputs are copied side by side, so that they are read in order.
        for (to, from) in weight.chunks_exact_mut(OUTPUTS).zip(self.weight.chunks_exact(self.padded)) {
            to[..outputs].copy_from_slice(&from[self.first..][..outputs]);
        }
        for (to, from) in ends.chunks_exact_mut(OUTPUTS).zip([self.bias, self.slope]) {
            to[..outputs].copy_from_slice(&from[self.first..][..outputs]);
        }
        let mut first = 0;
        while first < outputs {
            let n = vectors::<V>(OUTPUTS, first);
            self.tiles::<V>([&*weight, &*ends], sums, first, n);
            first += n * V::LANES;
        }
    }
}

impl DenseOutputs<'_> {
    /// Computes `n` vectors of outputs, starting at `first`, for all items.
    #[inline(always)]
    fn tiles<V: Vector>(&mut self, [weight, ends]: [&[f32]; 2], sums: &mut [f32], first: usize, n: usize) {
        let (items, lanes) = (self.y.planes(), n * V::LANES);
        assert!(first + lanes <= OUTPUTS && weight.len() >= self.inputs * OUTPUTS && ends.len() >= 2 * OUTPUTS, "whole weights");
        let window = Window { c: 1, plane: 0, rows: 1, width: 0, columns: self.inputs };
        let p = pixels::<V>(n, items);
        let kept = lanes.min(self.y.len() - first);
        let mut done = 0;
        while done < items {
            let at = done.min(items - p);
            macro_rules! call {
                ($n:literal, $p:literal) => {
                    // SAFETY: weights and ends were checked above, x by `run`; P is at most PIXELS.
                    unsafe {
                        let offsets = std::array::from_fn(|i| i * V::LANES);
                        let weight = Lanes { first: weight.as_ptr().add(first), offsets, stride: OUTPUTS };
                        let end = Some([ends.as_ptr().add(first), ends.as_ptr().add(OUTPUTS + first)]);
                        let x = self.x.as_ptr().add(at * self.inputs);
                        tile::<V, $n, $p>(window, x, self.inputs, weight, end, sums.as_mut_ptr());
                    }
                };
            }
            with_tile!(V, n, p, call);
            for (i, sums) in sums.chunks_exact(lanes).take(p).enumerate() {
                self.y.row_mut(at + i)[first..first + kept].copy_from_slice(&sums[..kept]);
            }
            done = at + p;
        }
    }
}
