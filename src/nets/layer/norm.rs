//! Batch norm, with an optional PReLU after it.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{Op, Site, Taped, Value};
use crate::kernels::nn::{
    Affine, BatchMoments, BatchNorm, BatchNormBackward, BatchNormGradients, BatchNormSums, BatchStatistics, ChannelAffine,
};
use crate::kernels::train::RunningStatistics;
use crate::record::Slot;
use crate::tensor::{Shape, ShapeError};

/// Choice of the mean and variance that a batch norm uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Statistics {
    /// Statistics of the batch (of the micro-batch, if the batch is divided); running statistics follow them.
    Batch,
    /// Running statistics, as constants.
    Running,
}

/// Batch norm with PReLU: `prelu(scale (x - mean) / √(variance + ε) + shift)` for each channel. Inputs: `x`,
/// running mean, running variance, scale, shift, and the slope of the PReLU if there is one; all except `x`
/// are `[c]`. The two are fused because separately they cost as much as the convolutions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NormLayer {
    /// Choice of mean and variance.
    pub statistics: Statistics,
    /// ε, which keeps the root away from zero.
    pub epsilon: f64,
    /// Share by which the running statistics move towards those of a batch.
    pub momentum: f64,
}

impl NormLayer {
    /// Creates a norm with the usual constants: ε of 1e-5, momentum of 0.1.
    pub const fn new(statistics: Statistics) -> Self {
        Self { statistics, epsilon: 1e-5, momentum: 0.1 }
    }
}

impl Op for NormLayer {
    fn name(&self) -> &'static str {
        "norm"
    }

    fn inputs(&self) -> RangeInclusive<usize> {
        5..=6
    }

    fn output(&self, x: &[&Shape]) -> Result<Shape, ShapeError> {
        if self.statistics == Statistics::Batch {
            BatchStatistics::new(x[0])?;
        }
        x[1..].iter().try_for_each(|tensor| tensor.has(x[0].c()))?;
        Ok(x[0].clone())
    }

    fn forward(&self, site: &mut Site<'_>, x: &[Value<'_>], y: Value<'_>) -> Vec<Slot> {
        let (shape, c) = (x[0].shape, x[0].shape.c());
        let [mean, variance] = match self.statistics {
            Statistics::Running => [x[1].slot, x[2].slot],
            Statistics::Batch => {
                let kernel = BatchStatistics::new(shape).expect("checked when the graph was built");
                let partial = site.scratch("partial statistics", kernel.partials());
                site.recording.push(kernel, &[x[0].slot, partial]);
                let moments = ["mean of a batch", "variance of a batch"].map(|label| site.scratch(label, c));
                site.recording.push(BatchMoments::new(&kernel, shape), &[partial, moments[0], moments[1]]);
                moments
            }
        };
        let slope = x.get(5).map_or_else(|| site.ones(c), |slope| slope.slot);
        let affine = site.scratch("normalization of channels", c * Affine::WORDS as u32);
        site.recording.push(ChannelAffine::new(c, self.epsilon), &[mean, variance, x[3].slot, x[4].slot, slope, affine]);
        site.recording.push(BatchNorm::new(shape), &[x[0].slot, affine, y.slot]);
        vec![affine, mean, variance]
    }

    fn track(&self, site: &mut Site<'_>, pass: &Taped<'_>, status: Slot) {
        if self.statistics == Statistics::Batch {
            let kernel = RunningStatistics::new(pass.x[0].shape, self.momentum).expect("checked when the graph was built");
            let [mean, variance] = [pass.kept[1], pass.kept[2]];
            site.recording.push(kernel, &[mean, variance, status, pass.x[1].slot, pass.x[2].slot]);
        }
    }

    fn backward(&self, site: &mut Site<'_>, pass: &Taped<'_>, dy: Slot, dx: &[Option<Slot>]) {
        let (x, shape, affine) = (pass.x[0].slot, pass.x[0].shape, pass.kept[0]);
        let c = shape.c();
        let mut sums = affine;
        if self.statistics == Statistics::Batch || dx[3..].iter().any(Option::is_some) {
            let kernel = BatchNormSums::new(shape);
            let partial = site.scratch("partial sums of gradients", kernel.partials());
            site.recording.push(kernel, &[x, dy, affine, partial]);
            sums = site.scratch("sums of gradients", 2 * c);
            // The gradient of a tensor that is frozen or absent goes to a slot that is never read.
            let mut to = |at: usize| dx.get(at).copied().flatten().unwrap_or_else(|| site.unread(c));
            let slots = [partial, sums, to(4), to(3), to(5)];
            site.recording.push(BatchNormGradients::new(&kernel, shape), &slots);
        }
        if let Some(dx) = dx[0] {
            let kernel = match self.statistics {
                Statistics::Batch => BatchNormBackward::batch(shape),
                Statistics::Running => BatchNormBackward::running(shape),
            };
            site.recording.push(kernel, &[x, dy, affine, sums, dx]);
        }
    }
}
