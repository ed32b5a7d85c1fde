//! PReLU and ReLU.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Prelu, PreluBackward};
use crate::kernels::train::Reduce;
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Activation `x > 0 ? x : slope[c] x`. Inputs: `x`, and the slopes `[c]`; a ReLU without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreluLayer;

impl Op for PreluLayer {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=2
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        x.get(1).map_or(Ok(()), |slope| slope.has(x[0].c()))?;
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let slope = slope(site, x);
        site.recording.push(Prelu::new(y.shape), &[x[0].slot, slope, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, shape) = (pass.x, pass.y.shape);
        let kernel = PreluBackward::new(shape);
        let partial = site.scratch("partial sums of slopes", shape.c() * kernel.slabs());
        let to = dx[0].unwrap_or_else(|| site.scratch("unread gradient", shape.elements()));
        let slope = slope(site, x);
        site.recording.push(kernel, &[x[0].slot, slope, dy, to, partial]);
        if let Some(Some(slope)) = dx.get(1) {
            site.recording.push(Reduce::slabs_last(shape.c(), kernel.slabs()), &[partial, *slope]);
        }
    }

    fn overwrites(&self) -> bool {
        true
    }
}

/// Returns the slopes, or zeros for a ReLU.
pub(super) fn slope(site: &mut Site<'_>, x: &[Value<'_>]) -> Slot {
    x.get(1).map_or_else(|| site.zeros(x[0].shape.c()), |slope| slope.slot)
}
