//! Gradient of the inputs of a fully connected layer.

use super::{Task, Vector};

/// At most 8 items.
pub(crate) struct DenseBackwardInputs<'a> {
    /// `[items, out]`.
    pub dy: &'a [f32],
    /// Outputs of an item.
    pub out: usize,
    /// `[inputs, padded]`.
    pub weight: &'a [f32],
    /// Outputs, rounded up.
    pub padded: usize,
    /// Values of an item.
    pub inputs: usize,
    /// `[items, inputs]`, added to.
    pub dx: &'a mut [f32],
}

const ITEMS: usize = 8;

impl Task for DenseBackwardInputs<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let items = self.dx.len() / self.inputs;
        assert!((1..=ITEMS).contains(&items) && self.dy.len() >= items * self.out, "whole items");
        assert!(self.weight.len() >= self.inputs * self.padded && self.out <= self.padded, "whole weights");
        let whole = self.out / V::LANES * V::LANES;
        let rows: [usize; ITEMS] = std::array::from_fn(|item| item.min(items - 1) * self.out);
        for (i, weight) in self.weight.chunks_exact(self.padded).take(self.inputs).enumerate() {
            let mut sums = [V::splat(0.0); ITEMS];
            for o in (0..whole).step_by(V::LANES) {
                // SAFETY: a vector from `o` on ends within `out`, of which each row of `dy` and of the weights has at least as many.
                unsafe {
                    let weight = V::load(weight.as_ptr().add(o));
                    for (sum, row) in sums.iter_mut().zip(&rows) {
                        *sum = weight.mul_add(V::load(self.dy.as_ptr().add(row + o)), *sum);
                    }
                }
            }
            for (item, (sum, row)) in sums.iter().zip(&rows).enumerate().take(items) {
                let mut lanes = [0.0_f32; 16];
                // SAFETY: no vector has more than 16 lanes.
                unsafe { sum.store(lanes.as_mut_ptr()) };
                for half in [8, 4, 2, 1] {
                    for lane in 0..half {
                        lanes[lane] += lanes[lane + half];
                    }
                }
                let rest = weight[whole..self.out].iter().zip(&self.dy[row + whole..]).map(|(weight, d)| weight * d).sum::<f32>();
                self.dx[item * self.inputs + i] += lanes[0] + rest;
            }
        }
    }
}
