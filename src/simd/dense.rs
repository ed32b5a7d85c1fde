//! Items through a fully connected layer.

use super::maps::{PIXELS, pixels, vectors, with_tile};
use super::scratch::Scratch;
use super::tile::{Lanes, Window, tile};
use super::{PlanesMut, Task, Vector};

/// Outputs that are computed together: enough for any register tile, and weights that a core's own cache holds.
pub(crate) const OUTPUTS: usize = 32;

/// Some outputs of all items of a fully connected layer with bias and PReLU.
pub(crate) struct DenseOutputs<'a> {
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
    /// Outputs of the layer, rounded up.
    pub padded: usize,
    /// The first output to compute.
    pub first: usize,
    /// One plane an item, of at most [`OUTPUTS`] outputs.
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
        // Side by side, the weights of these outputs are read in order.
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
    /// `n` vectors of outputs from `first` on, of all items.
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
