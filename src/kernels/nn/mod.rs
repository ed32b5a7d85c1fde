//! Kernels of the nets.

mod activation;
mod activation_backward;
mod add;
mod arg_max_pool;
mod arg_max_pool_backward;
mod axpy;
mod batch_moments;
mod batch_norm;
mod batch_norm_backward;
mod batch_norm_gradients;
mod batch_norm_sums;
mod batch_statistics;
mod broadcast;
mod channel_affine;
mod channel_pool;
mod channel_pool_backward;
mod conv;
mod conv_backward_input;
mod conv_backward_weight;
mod conv_flip;
mod conv_pool;
mod conv_uniform;
mod convolution;
mod convolution_backward_bias;
mod convolution_backward_input;
mod convolution_backward_weight;
mod convolve;
mod dense;
mod dense_backward_input;
mod dense_backward_weight;
mod dropout;
mod halve;
mod join;
mod join_backward;
mod lrn;
mod lrn_backward;
mod max_pool;
mod mean_pool;
mod mean_pool_backward;
mod multiply;
mod multiply_add;
mod multiply_sum;
mod prelu;
mod prelu_backward;
mod prelu_pool;
mod prelu_pool_backward;
mod propose;
mod sizes;
mod slabs;
mod unit_rows;
mod unit_rows_backward;
mod upsample;
mod upsample_backward;
mod windows;

pub use activation::Activation;
pub use activation_backward::ActivationBackward;
pub use add::Add;
pub use arg_max_pool::ArgMaxPool;
pub use arg_max_pool_backward::ArgMaxPoolBackward;
pub use axpy::Axpy;
pub use batch_moments::BatchMoments;
pub use batch_norm::BatchNorm;
pub use batch_norm_backward::BatchNormBackward;
pub use batch_norm_gradients::BatchNormGradients;
pub use batch_norm_sums::BatchNormSums;
pub use batch_statistics::BatchStatistics;
pub use broadcast::Broadcast;
pub use channel_affine::{Affine, ChannelAffine};
pub use channel_pool::ChannelPool;
pub use channel_pool_backward::ChannelPoolBackward;
pub use conv::Conv;
pub use conv_backward_input::ConvBackwardInput;
pub use conv_backward_weight::ConvBackwardWeight;
pub use conv_flip::ConvFlip;
pub use conv_pool::ConvPool;
pub use conv_uniform::ConvUniform;
pub use convolution::Convolution;
pub use convolution_backward_bias::ConvolutionBackwardBias;
pub use convolution_backward_input::ConvolutionBackwardInput;
pub use convolution_backward_weight::ConvolutionBackwardWeight;
pub use dense::Dense;
pub use dense_backward_input::DenseBackwardInput;
pub use dense_backward_weight::DenseBackwardWeight;
pub use dropout::Dropout;
pub use halve::Halve;
pub use join::Join;
pub use join_backward::JoinBackward;
pub use lrn::Lrn;
pub use lrn_backward::LrnBackward;
pub use max_pool::MaxPool;
pub use mean_pool::MeanPool;
pub use mean_pool_backward::MeanPoolBackward;
pub use multiply::Multiply;
pub use multiply_add::MultiplyAdd;
pub use multiply_sum::MultiplySum;
pub use prelu::Prelu;
pub use prelu_backward::PreluBackward;
pub use prelu_pool::PreluPool;
pub use prelu_pool_backward::PreluPoolBackward;
pub use propose::Propose;
pub use sizes::{Sizes, Tiling};
pub use unit_rows::UnitRows;
pub use unit_rows_backward::UnitRowsBackward;
pub use upsample::Upsample;
pub use upsample_backward::UpsampleBackward;
pub use windows::Windows;

use conv::{GROUP, grid};
use slabs::Slabs;

use crate::tensor::Extent;

/// Where a level's elements and tiles lie: one row of the table that every ragged kernel reads (`shared/levels.wgsl`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Level {
    /// First tile of this level.
    pub tile: u32,
    /// Tiles in a row of tiles.
    pub columns: u32,
    /// First element of the input plane.
    pub x: u32,
    /// Input rows.
    pub x_h: u32,
    /// Input columns.
    pub x_w: u32,
    /// First element of the output plane.
    pub y: u32,
    /// Output rows.
    pub y_h: u32,
    /// Output columns.
    pub y_w: u32,
}

impl Level {
    /// Four-byte words of a row.
    pub const WORDS: usize = 8;

    /// The table for planes `x` and `y`, with tiles of `tile` outputs; and the number of tiles.
    pub fn table(x: &[Extent], y: &[Extent], tile: Extent) -> (Vec<u32>, u32) {
        let mut next = Self { tile: 0, columns: 0, x: 0, x_h: 0, x_w: 0, y: 0, y_h: 0, y_w: 0 };
        let mut rows = Vec::new();
        for (x, y) in x.iter().zip(y) {
            let columns = y.w.div_ceil(tile.w);
            let level = Self { columns, x_h: x.h, x_w: x.w, y_h: y.h, y_w: y.w, ..next };
            rows.push(level);
            next.tile += columns * y.h.div_ceil(tile.h);
            next.x += x.area();
            next.y += y.area();
        }
        (bytemuck::cast_slice(&rows).to_vec(), next.tile)
    }

    /// The table in a slot.
    pub fn list(slot: &[f32]) -> &[Self] {
        bytemuck::cast_slice(slot)
    }
}

/// Slope `a` of `v > 0 ? v : a v`.
fn prelu<T: PartialOrd + Default + std::ops::Mul<Output = T>>(value: T, slope: T) -> T {
    if value > T::default() { value } else { slope * value }
}
