//! The kernels: one file per WGSL stem, with its uniform, its scalar twin, its native body and the samples that tests and `doctor` play.

pub mod canary;
pub mod ceiling;
pub mod image;
pub mod nn;
mod probability;
pub mod select;
mod together;
pub mod train;

use crate::record::{Access, Kernel, Recording, Slot};

/// The sources of a kernel: its own file, then the shared snippets it calls, each by stem below `shaders/`.
macro_rules! wgsl {
    ($($stem:literal),+) => {
        &[$(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $stem, ".wgsl"))),+]
    };
}
pub(crate) use wgsl;

/// Calls `$visit!(Kernel)` for every kernel there is: the one list of them.
#[macro_export]
macro_rules! for_each_kernel {
    ($visit:ident) => {
        $visit!($crate::kernels::canary::Loops);
        $visit!($crate::kernels::ceiling::Stream);
        $visit!($crate::kernels::ceiling::Peak);
        $visit!($crate::kernels::image::ResampleRows);
        $visit!($crate::kernels::image::ResampleColumns);
        $visit!($crate::kernels::image::Crop);
        $visit!($crate::kernels::nn::Conv);
        $visit!($crate::kernels::nn::MaxPool);
        $visit!($crate::kernels::nn::Dense);
        $visit!($crate::kernels::nn::Prelu);
        $visit!($crate::kernels::nn::Dropout);
        $visit!($crate::kernels::nn::PreluBackward);
        $visit!($crate::kernels::nn::PreluPool);
        $visit!($crate::kernels::nn::PreluPoolBackward);
        $visit!($crate::kernels::nn::ConvFlip);
        $visit!($crate::kernels::nn::ConvBackwardInput);
        $visit!($crate::kernels::nn::ConvBackwardWeight);
        $visit!($crate::kernels::nn::DenseBackwardInput);
        $visit!($crate::kernels::nn::DenseBackwardWeight);
        $visit!($crate::kernels::nn::Convolution);
        $visit!($crate::kernels::nn::ConvolutionBackwardInput);
        $visit!($crate::kernels::nn::ConvolutionBackwardWeight);
        $visit!($crate::kernels::nn::ConvolutionBackwardBias);
        $visit!($crate::kernels::nn::Lrn);
        $visit!($crate::kernels::nn::LrnBackward);
        $visit!($crate::kernels::nn::Halve);
        $visit!($crate::kernels::nn::Join);
        $visit!($crate::kernels::nn::BatchStatistics);
        $visit!($crate::kernels::nn::BatchMoments);
        $visit!($crate::kernels::nn::ChannelAffine);
        $visit!($crate::kernels::nn::BatchNorm);
        $visit!($crate::kernels::nn::BatchNormSums);
        $visit!($crate::kernels::nn::BatchNormGradients);
        $visit!($crate::kernels::nn::BatchNormBackward);
        $visit!($crate::kernels::nn::Add);
        $visit!($crate::kernels::nn::Axpy);
        $visit!($crate::kernels::nn::JoinBackward);
        $visit!($crate::kernels::nn::Multiply);
        $visit!($crate::kernels::nn::MultiplyAdd);
        $visit!($crate::kernels::nn::MultiplySum);
        $visit!($crate::kernels::nn::Activation);
        $visit!($crate::kernels::nn::ActivationBackward);
        $visit!($crate::kernels::nn::MeanPool);
        $visit!($crate::kernels::nn::MeanPoolBackward);
        $visit!($crate::kernels::nn::ArgMaxPool);
        $visit!($crate::kernels::nn::ArgMaxPoolBackward);
        $visit!($crate::kernels::nn::ChannelPool);
        $visit!($crate::kernels::nn::ChannelPoolBackward);
        $visit!($crate::kernels::nn::Upsample);
        $visit!($crate::kernels::nn::UpsampleBackward);
        $visit!($crate::kernels::nn::UnitRows);
        $visit!($crate::kernels::nn::UnitRowsBackward);
        $visit!($crate::kernels::nn::ConvPool);
        $visit!($crate::kernels::nn::ConvUniform);
        $visit!($crate::kernels::nn::Propose);
        $visit!($crate::kernels::select::Decode);
        $visit!($crate::kernels::select::Rank);
        $visit!($crate::kernels::select::Suppress);
        $visit!($crate::kernels::select::Settle);
        $visit!($crate::kernels::select::Judge);
        $visit!($crate::kernels::select::Faces);
        $visit!($crate::kernels::select::Arguments);
        $visit!($crate::kernels::train::Unpack);
        $visit!($crate::kernels::train::Clear);
        $visit!($crate::kernels::train::CrossEntropy);
        $visit!($crate::kernels::train::SquaredError);
        $visit!($crate::kernels::train::Mine);
        $visit!($crate::kernels::train::PlaceItems);
        $visit!($crate::kernels::train::TakeItems);
        $visit!($crate::kernels::train::CrossEntropyBackward);
        $visit!($crate::kernels::train::SquaredErrorBackward);
        $visit!($crate::kernels::train::Reduce);
        $visit!($crate::kernels::train::Squares);
        $visit!($crate::kernels::train::Summary);
        $visit!($crate::kernels::train::Adam);
        $visit!($crate::kernels::train::Sgd);
        $visit!($crate::kernels::train::RunningStatistics);
    };
}

/// A kernel with inputs: what tests and `doctor` compare between engine and twin.
#[derive(Debug, Clone)]
pub struct Sample<K> {
    /// The kernel with its arguments.
    pub kernel: K,
    /// Contents of its read bindings; further ones preset its updated bindings, in order, in place of noise.
    pub read: Vec<Vec<f32>>,
}

/// Kernels know inputs that are worth comparing: sizes of 1, odd ones, and across workgroups.
pub trait Samples: Kernel + Sized + 'static {
    /// The samples, always the same.
    fn samples() -> Vec<Sample<Self>>;
}

/// Bit pattern of a float that no kernel writes: outputs start as this NaN, so that a forgotten element shows.
const UNWRITTEN: f32 = f32::NAN;

impl<K: Kernel + 'static> Sample<K> {
    /// A recording of this one step, with its slots by binding. Written slots are preset to NaN, updated ones to noise.
    pub fn record(&self) -> (Recording, Vec<(Slot, Vec<f32>)>) {
        let mut recording = Recording::new();
        let mut reads = self.read.iter();
        let mut presets = Vec::new();
        for (i, (binding, size)) in K::BINDINGS.iter().zip(self.kernel.sizes()).enumerate() {
            let data = match binding.access {
                Access::Read => reads.next().cloned().unwrap_or_default(),
                Access::Write => vec![UNWRITTEN; size],
                Access::Update => reads.next().cloned().unwrap_or_else(|| crate::tensor::noise(size, i as u64)),
            };
            presets.push((recording.slot(format!("binding {}", i + 1), data.len()), data));
        }
        let slots: Vec<Slot> = presets.iter().map(|(slot, _)| *slot).collect();
        recording.push(self.kernel, &slots);
        (recording, presets)
    }
}

/// Integers as the words of a slot.
pub(crate) fn words(integers: impl IntoIterator<Item = u32>) -> Vec<f32> {
    integers.into_iter().map(f32::from_bits).collect()
}

/// Largest magnitude in a slot, 0 for an empty one.
pub(crate) fn largest(data: &[f32]) -> f32 {
    data.iter().fold(0.0, |most, x| most.max(x.abs()))
}
