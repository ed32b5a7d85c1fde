//! Max pooling by itself.

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{MaxPool, PreluPoolBackward};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Largest of each `k x k` window, windows two apart, the last of which may stick out. `x` may have several levels, but not in a backward
/// pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolLayer {
    /// Side of a window, 2 or 3.
    pub k: u32,
}

/// Distance of windows: what the kernels have.
const STRIDE: u32 = 2;

impl Op for MaxPoolLayer {
    fn name(&self) -> &'static str {
        "max_pool"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        MaxPool::new(x[0], self.k, STRIDE).map(|(_, _, y)| y)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (kernel, table, _) = MaxPool::new(x[0].shape, self.k, STRIDE).expect("checked when the graph was built");
        let levels = site.recording.table("levels", table);
        site.recording.push(kernel, &[x[0].slot, levels, y.slot]);
        Vec::new()
    }

    /// Pooling behind a PReLU with slopes of 1.
    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let Some(dx) = dx[0] else { return };
        let x = pass.x[0];
        let kernel = PreluPoolBackward::new(x.shape, pass.y.shape, self.k, site.device.parallelism());
        let (ones, unread) = (site.ones(x.shape.c()), site.scratch("sums of slopes that are none", x.shape.c() * kernel.slabs()));
        site.recording.push(kernel, &[x.slot, ones, dy, dx, unread]);
    }

    fn overwrites(&self) -> bool {
        true
    }
}
