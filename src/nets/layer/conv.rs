//! The cascade's convolution.

use std::ops::RangeInclusive;

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Conv, ConvBackwardInput, ConvBackwardWeight, ConvFlip};
use crate::kernels::train::Reduce;
use crate::record::{Packing, Slot};
use crate::tensor::{Shape, ShapeError, Tensor};

/// Valid convolution with bias and stride 1. Inputs: `x`, weight `[out, c, k, k]`, bias `[out]`, both packed
/// for [`Conv`]. `x` may have several levels, but not in a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvLayer;

impl ConvLayer {
    /// Packing of weights.
    pub const WEIGHT: Packing = Packing { name: "conv weight", pack: Conv::pack, unpack: Conv::unpack };
    /// Packing of biases and slopes.
    pub const CHANNEL: Packing =
        Packing { name: "conv channel", pack: |tensor: &Tensor| Conv::pad(&tensor.data), unpack: Packing::PLAIN.unpack };
}

fn sizes(weight: &Shape) -> (u32, u32) {
    (weight.n(), weight.levels()[0].h)
}

impl Op for ConvLayer {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        3..=3
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        let (out, k) = sizes(x[1]);
        x[1].has(out * x[0].c() * k * k)?;
        x[2].has(out)?;
        Conv::new(x[0], out, k).map(|(_, _, y)| y)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (out, k) = sizes(x[1].shape);
        let (kernel, table, _) = Conv::new(x[0].shape, out, k).expect("checked when the graph was built");
        let (ones, levels) = (site.ones(out.next_multiple_of(16)), site.recording.table("levels", table));
        site.recording.push(kernel, &[x[0].slot, x[1].slot, x[2].slot, ones, levels, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, y, (out, k)) = (pass.x, pass.y.shape, sizes(pass.x[1].shape));
        let c = x[0].shape.c();
        if dx[1].or(dx[2]).is_some() {
            let kernel = ConvBackwardWeight::new(c, y, k, site.device.parallelism());
            let lens = kernel.lens().map(|len| len as u32);
            let partial = lens.map(|len| site.scratch("partial sums of a convolution", len * kernel.slabs()));
            site.recording.push(kernel, &[x[0].slot, dy, partial[0], partial[1]]);
            for ((len, partial), to) in lens.into_iter().zip(partial).zip([dx[1], dx[2]]) {
                if let Some(to) = to {
                    site.recording.push(Reduce::slabs_first(kernel.slabs(), len), &[partial, to]);
                }
            }
        }
        if let Some(dx) = dx[0] {
            let flip = ConvFlip::new(c, out, k);
            let flipped = site.recording.scratch("flipped weights", flip.elements());
            site.recording.push(flip, &[x[1].slot, flipped]);
            site.recording.push(ConvBackwardInput::new(c, y, k), &[dy, flipped, dx]);
        }
    }

    fn overwrites(&self) -> bool {
        true
    }
}
