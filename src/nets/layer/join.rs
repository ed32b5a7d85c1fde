//! Concatenation.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Join, JoinBackward};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Concatenation of two inputs, item by item: along channels if their planes have the same size, otherwise as
/// vectors. Inputs: `left`, `right`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinLayer;

impl Op for JoinLayer {
    fn name(&self) -> &'static str {
        "join"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=2
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        if x[0].n() != x[1].n() {
            return Err(ShapeError::Different { left: x[0].n(), right: x[1].n() });
        }
        if x[0].levels() == x[1].levels() {
            return x[0].with(x[0].n(), x[0].c() + x[1].c());
        }
        Shape::new([x[0].n(), x[0].item() + x[1].item(), 1, 1])
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let kernel = Join::new(y.shape.n(), x[0].shape.item(), x[1].shape.item());
        site.recording.push(kernel, &[x[0].slot, x[1].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (n, left, right) = (pass.y.shape.n(), pass.x[0].shape.item(), pass.x[1].shape.item());
        for (kernel, dx) in [JoinBackward::left(n, left, right), JoinBackward::right(n, left, right)].into_iter().zip(dx) {
            if let Some(dx) = dx {
                site.recording.push(kernel, &[dy, *dx]);
            }
        }
    }
}
