//! Pooling over windows and over channels, upsampling, and normalization to unit length.

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{
    ArgMaxPool, ArgMaxPoolBackward, ChannelPool, ChannelPoolBackward, MeanPool, MeanPoolBackward, UnitRows, UnitRowsBackward, Upsample,
    UpsampleBackward, Windows,
};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Windows of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolWindows {
    /// A fixed number of bins per side over the whole plane, which may overlap; 1 for global pooling.
    Adaptive {
        /// Number of bins per side.
        bins: u32,
    },
    /// Square windows of a fixed size.
    Sliding {
        /// Side of a window; 1 takes every `stride`-th element.
        k: u32,
        /// Distance between neighbouring windows, in elements.
        stride: u32,
        /// Number of elements added on every side, which do not take part in the result.
        padding: u32,
    },
}

impl PoolWindows {
    fn over(self, x: &Shape) -> Result<(Windows, Shape), ShapeError> {
        match self {
            Self::Adaptive { bins } => Windows::adaptive(x, bins),
            Self::Sliding { k, stride, padding } => Windows::sliding(x, k, stride, padding),
        }
    }

    fn of(self, x: &Shape) -> Windows {
        self.over(x).expect("checked when the graph was built").0
    }
}

/// Mean of each window. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeanPoolLayer(pub PoolWindows);

/// Maximum of each window; its gradient goes to the first of equal elements. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArgMaxPoolLayer(pub PoolWindows);

/// Maximum and mean over channels, as two channels. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelPoolLayer;

/// Bilinear upsampling to twice the rows and columns, with half-pixel centres. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpsampleLayer;

/// Division of each item by its norm. Input: `x`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UnitRowsLayer {
    /// Lower limit of the norm.
    pub epsilon: f64,
}

impl Op for MeanPoolLayer {
    fn name(&self) -> &'static str {
        "mean_pool"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(self.0.over(x[0])?.1)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(MeanPool::new(self.0.of(x[0].shape)), &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(MeanPoolBackward::new(self.0.of(pass.x[0].shape)), &[dy, dx]);
        }
    }
}

impl Op for ArgMaxPoolLayer {
    fn name(&self) -> &'static str {
        "arg_max_pool"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(self.0.over(x[0])?.1)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let places = site.scratch("places of the largest", y.shape.elements());
        site.recording.push(ArgMaxPool::new(self.0.of(x[0].shape)), &[x[0].slot, y.slot, places]);
        vec![places]
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(ArgMaxPoolBackward::new(self.0.of(pass.x[0].shape)), &[dy, pass.kept[0], dx]);
        }
    }
}

impl Op for ChannelPoolLayer {
    fn name(&self) -> &'static str {
        "channel_pool"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        ChannelPool::new(x[0])?;
        x[0].with(x[0].n(), 2)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let channels = site.scratch("channels of the largest", x[0].shape.n() * x[0].shape.plane());
        let kernel = ChannelPool::new(x[0].shape).expect("checked when the graph was built");
        site.recording.push(kernel, &[x[0].slot, y.slot, channels]);
        vec![channels]
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(ChannelPoolBackward::new(pass.x[0].shape), &[dy, pass.kept[0], dx]);
        }
    }
}

impl Op for UpsampleLayer {
    fn name(&self) -> &'static str {
        "upsample"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(Upsample::new(x[0])?.1)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (kernel, _) = Upsample::new(x[0].shape).expect("checked when the graph was built");
        site.recording.push(kernel, &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            site.recording.push(UpsampleBackward::new(pass.x[0].shape), &[dy, dx]);
        }
    }
}

impl Op for UnitRowsLayer {
    fn name(&self) -> &'static str {
        "unit_rows"
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        site.recording.push(UnitRows::new(y.shape.n(), y.shape.item(), self.epsilon), &[x[0].slot, y.slot]);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        if let Some(dx) = dx[0] {
            let kernel = UnitRowsBackward::new(pass.y.shape.n(), pass.y.shape.item(), self.epsilon);
            site.recording.push(kernel, &[pass.x[0].slot, dy, dx]);
        }
    }
}
