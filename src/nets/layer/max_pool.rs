//! Max pooling by itself.

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{MaxPool, PreluPool, PreluPoolBackward};
use crate::record::{Recording, Slot};
use crate::tensor::{Shape, ShapeError};

/// Largest of each `k x k` window, windows two apart, the last of which may stick out. `x` may have several
/// levels, but not in a backward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolLayer {
    /// Side of a window, 2 or 3.
    pub k: u32,
}

/// Distance of windows: what the kernels have.
const STRIDE: u32 = 2;

impl MaxPoolLayer {
    /// Appends the computation of `y`, and keeps nothing for a backward pass.
    ///
    /// # Panics
    ///
    /// If [`Op::output`] refuses the shape of `x`: a mistake in the caller.
    pub fn record(self, recording: &mut Recording, x: Value<'_>, y: Slot) {
        let (kernel, table, _) = MaxPool::new(x.shape, self.k, STRIDE).expect("a shape that has a result");
        let levels = recording.table("levels", table);
        recording.push(kernel, &[x.slot, levels, y]);
    }
}

impl Op for MaxPoolLayer {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        MaxPool::new(x[0], self.k, STRIDE).map(|(_, _, y)| y)
    }

    /// Pooling behind a PReLU with slopes of 1.
    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        if x[0].shape.levels().len() > 1 {
            self.record(site.recording, x[0], y.slot);
            return Vec::new();
        }
        let (kernel, _) = PreluPool::new(x[0].shape, self.k).expect("checked when the graph was built");
        let ones = site.ones(x[0].shape.c());
        // With such slopes the pre-activations of the maxima are the result.
        let [unread, places] = ["result once more", "places of first maxima"].map(|label| site.scratch(label, y.shape.elements()));
        site.recording.push(kernel, &[x[0].slot, ones, y.slot, unread, places]);
        vec![places]
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let Some(dx) = dx[0] else { return };
        let x = pass.x[0];
        let kernel = PreluPoolBackward::new(x.shape, pass.y.shape, self.k, site.device.parallelism());
        let (ones, unread) = (site.ones(x.shape.c()), site.scratch("sums of slopes that are none", x.shape.c() * kernel.slabs()));
        site.recording.push(kernel, &[pass.y.slot, pass.kept[0], ones, dy, dx, unread]);
    }

    fn overwrites(&self) -> bool {
        true
    }
}
