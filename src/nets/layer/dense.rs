//! The cascade's fully connected layer.

use std::ops::RangeInclusive;

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Dense, DenseBackwardInput, DenseBackwardWeight, Dropout};
use crate::record::{Packing, Slot};
use crate::tensor::{Shape, ShapeError, Tensor};

/// Fully connected layer over the whole item (`c * h * w` in NCHW order), with bias, and with dropout in
/// training. Inputs: `x`, weight `[out, inputs]`, bias `[out]`, both packed for [`Dense`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DenseLayer {
    /// Share of the outputs that a training pass drops.
    pub dropout: f64,
}

impl DenseLayer {
    /// Packing of weights.
    pub const WEIGHT: Packing = Packing { name: "dense weight", pack: Dense::pack, unpack: Dense::unpack };
    /// Packing of biases and slopes.
    pub const OUTPUT: Packing =
        Packing { name: "dense output", pack: |tensor: &Tensor| Dense::pad(&tensor.data), unpack: Packing::PLAIN.unpack };

    fn dropped(&self, site: &Site<'_>, y: &Shape) -> Option<(Dropout, Slot)> {
        site.schedule.filter(|_| self.dropout > 0.0).map(|schedule| (Dropout::new(y.n(), y.item(), self.dropout), schedule))
    }
}

impl Op for DenseLayer {
    fn name(&self) -> &'static str {
        "dense"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        3..=3
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        let out = x[1].n();
        x[1].has(out * x[0].item())?;
        x[2].has(out)?;
        Shape::new([x[0].n(), out, 1, 1])
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let out = y.shape.c();
        let ones = site.ones(out.next_multiple_of(4));
        let kernel = Dense::new(y.shape.n(), x[0].shape.item(), out);
        site.recording.push(kernel, &[x[0].slot, x[1].slot, x[2].slot, ones, y.slot]);
        if let Some((dropout, schedule)) = self.dropped(site, y.shape) {
            site.recording.push(dropout, &[schedule, y.slot]);
        }
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, y) = (pass.x, pass.y.shape);
        if let Some((dropout, schedule)) = self.dropped(site, y) {
            site.recording.push(dropout, &[schedule, dy]);
        }
        let (n, inputs, out) = (y.n(), x[0].shape.item(), y.c());
        if dx[1].or(dx[2]).is_some() {
            let kernel = DenseBackwardWeight::new(n, inputs, out);
            // Either tensor may be frozen; its gradient then goes to a slot that is never read.
            let [weight, bias] = [dx[1].ok_or(inputs * out.next_multiple_of(4)), dx[2].ok_or(out.next_multiple_of(4))]
                .map(|to| to.unwrap_or_else(|len| site.unread(len)));
            site.recording.push(kernel, &[x[0].slot, dy, weight, bias]);
        }
        if let Some(dx) = dx[0] {
            site.recording.push(DenseBackwardInput::new(n, inputs, out), &[dy, x[1].slot, dx]);
        }
    }
}
