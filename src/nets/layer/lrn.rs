//! Local response normalization.

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Lrn, LrnBackward};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Local response normalization across channels (spec section 5). Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LrnLayer;

impl Op for LrnLayer {
    fn name(&self) -> &'static str {
        "lrn"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(Lrn::new(x[0].shape), &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(LrnBackward::new(pass.y.shape), &[pass.x[0].slot, dy, dx]);
        }
    }
}
