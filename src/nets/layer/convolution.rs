//! Convolution with any kernel side, stride, padding and number of groups, and dense layers of any size.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{Convolution, ConvolutionBackwardBias, ConvolutionBackwardInput, ConvolutionBackwardWeight, Sizes, Tiling};
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Convolution. Inputs: `x`, weight `[out, c / groups, k, k]`, and the bias `[out]` if there is one, all
/// row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvolutionLayer {
    /// Distance between neighbouring windows, in rows and in columns.
    pub stride: u32,
    /// Number of zero rows and columns added on every side.
    pub padding: u32,
    /// Number of groups of channels that are convolved independently; equal to the number of channels for a
    /// depthwise convolution.
    pub groups: u32,
}

/// Convolution with bias and PReLU, whose results are at most `most`: joined for inference, without a
/// backward pass. Inputs: `x`, weight, bias, and slope `[out]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ConvolutionPreluLayer {
    /// The convolution.
    pub convolution: ConvolutionLayer,
    /// Largest result.
    pub most: f32,
}

/// Fully connected layer over the whole item (`c * h * w` in NCHW order). Inputs: `x`, weight
/// `[out, inputs]`, and the bias `[out]` if there is one, all row-major.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinearLayer;

/// Tiling of matrix products: staged in workgroup memory, which is the faster one on software adapters too,
/// by up to five times for dense layers (benches/RESULTS.md).
const TILING: Tiling = Tiling::Workgroup;

/// Returns the shape of the result; fails if a tensor does not have the expected number of elements.
fn checked(sizes: &Sizes, x: &[&Shape]) -> Result<Shape, ShapeError> {
    x[1].has(sizes.weight_len() as u32)?;
    x.get(2).map_or(Ok(()), |bias| bias.has(x[1].n()))?;
    Ok(sizes.y())
}

fn forward(site: &mut Site<'_>, sizes: &Sizes, x: &[Value<'_>], y: Value<'_>) {
    let bias = x.get(2).map_or_else(|| site.recording.table("no bias", vec![0]), |bias| bias.slot);
    let kernel = Convolution::new(sizes, x.len() > 2, TILING);
    let unread = site.recording.table("no slope", vec![0]);
    site.recording.push(kernel, &[x[0].slot, x[1].slot, bias, unread, y.slot]);
}

fn backward(site: &mut Site<'_>, sizes: &Sizes, x: &[Value<'_>], dy: Slot, dx: &[Option<Slot>]) {
    if let Some(dweight) = dx[1] {
        ConvolutionBackwardWeight::new(sizes, TILING).record(site.recording, x[0].slot, dy, dweight);
    }
    if let Some(Some(dbias)) = dx.get(2) {
        site.recording.push(ConvolutionBackwardBias::new(sizes), &[dy, *dbias]);
    }
    if let Some(dx) = dx[0] {
        site.recording.push(ConvolutionBackwardInput::new(sizes, TILING), &[dy, x[1].slot, dx]);
    }
}

impl ConvolutionLayer {
    fn sizes(&self, x: &Shape, weight: &Shape) -> Result<Sizes, ShapeError> {
        Sizes::new(x, weight.n(), weight.levels()[0].h, self.stride, self.padding, self.groups)
    }
}

impl Op for ConvolutionLayer {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=3
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        let sizes = self.sizes(x[0], x[1])?;
        checked(&sizes, x)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        forward(site, &self.sizes(x[0].shape, x[1].shape).expect("checked when the graph was built"), x, y);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let x = pass.x;
        backward(site, &self.sizes(x[0].shape, x[1].shape).expect("checked when the graph was built"), x, dy, dx);
    }
}

impl Op for ConvolutionPreluLayer {
    fn name(&self) -> &'static str {
        "convolution_prelu"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        4..=4
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        x[3].has(x[1].n())?;
        self.convolution.output(&x[..3])
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let sizes = self.convolution.sizes(x[0].shape, x[1].shape).expect("checked when the graph was built");
        let kernel = Convolution::new(&sizes, true, TILING).activated(self.most);
        site.recording.push(kernel, &[x[0].slot, x[1].slot, x[2].slot, x[3].slot, y.slot]);
        Vec::new()
    }

    /// # Panics
    ///
    /// Always: it keeps nothing for a way back.
    fn backward(&self, _: &mut Site<'_>, _: &Taped<'_>, _: Slot, _: &[Option<Slot>]) {
        unreachable!("joined layers are for inference alone");
    }
}

impl LinearLayer {
    fn sizes(x: &Shape, weight: &Shape) -> Result<Sizes, ShapeError> {
        Sizes::dense(x.n(), x.item(), weight.n())
    }
}

impl Op for LinearLayer {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        2..=3
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        checked(&Self::sizes(x[0], x[1])?, x)
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        forward(site, &Self::sizes(x[0].shape, x[1].shape).expect("checked when the graph was built"), x, y);
        Vec::new()
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let x = pass.x;
        backward(site, &Self::sizes(x[0].shape, x[1].shape).expect("checked when the graph was built"), x, dy, dx);
    }
}
