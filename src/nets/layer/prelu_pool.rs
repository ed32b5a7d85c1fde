//! PReLU with max pooling behind it.

use std::ops::RangeInclusive;

use super::prelu::slope;
use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{PreluPool, PreluPoolBackward};
use crate::kernels::train::Reduce;
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// PReLU, then the largest of each `k x k` window, windows two apart, the last of which may stick out.
/// Joined, since the activations are as large as anything in a net; of the pre-activations, which are no
/// smaller, the backward pass is left those that won a window. Inputs: `x`, and the slopes `[c]`; without
/// them a ReLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreluPoolLayer {
    /// Side of a window, 2 or 3.
    pub k: u32,
}

impl Op for PreluPoolLayer {
    fn name(&self) -> &'static str {
        "prelu_pool"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        1..=2
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        x.get(1).map_or(Ok(()), |slope| slope.has(x[0].c()))?;
        PreluPool::new(x[0], self.k).map(|(_, y)| y)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (kernel, _) = PreluPool::new(x[0].shape, self.k).expect("checked when the graph was built");
        let slope = slope(site, x);
        let kept = ["pre-activations of first maxima", "places of first maxima"].map(|label| site.scratch(label, y.shape.elements()));
        site.recording.push(kernel, &[x[0].slot, slope, y.slot, kept[0], kept[1]]);
        kept.to_vec()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, c) = (pass.x, pass.x[0].shape.c());
        let kernel = PreluPoolBackward::new(x[0].shape, pass.y.shape, self.k, site.device.parallelism());
        let partial = site.scratch("partial sums of slopes", c * kernel.slabs());
        let to = dx[0].unwrap_or_else(|| site.scratch("unread gradient", x[0].shape.elements()));
        let slope = slope(site, x);
        site.recording.push(kernel, &[pass.kept[0], pass.kept[1], slope, dy, to, partial]);
        if let Some(Some(slope)) = dx.get(1) {
            site.recording.push(Reduce::slabs_first(kernel.slabs(), c), &[partial, *slope]);
        }
    }

    fn overwrites(&self) -> bool {
        true
    }
}
