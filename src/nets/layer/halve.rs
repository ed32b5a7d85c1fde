//! Pictures at half the size.

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Halve, MeanPoolBackward, Windows};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Mean of each 2 x 2 window: how a rival net shows its crop to the net before it (spec section 5). Input: `x` of even sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HalveLayer;

impl Op for HalveLayer {
    fn name(&self) -> &'static str {
        "halve"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Halve::new(x[0]).map(|(_, y)| y)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (kernel, _) = Halve::new(x[0].shape).expect("checked when the graph was built");
        site.recording.push(kernel, &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let Some(dx) = dx[0] else { return };
        let (windows, _) = Windows::sliding(pass.x[0].shape, 2, 2, 0).expect("checked when the graph was built");
        site.recording.push(MeanPoolBackward::new(windows), &[dy, dx]);
    }
}
