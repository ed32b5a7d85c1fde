//! Training crops: from annotated images to batches (spec sections 4.1, 4.2, 4.5 to 4.7).
//!
//! [`prepare()`] cuts the crops of one net into a file: for P-Net at random around faces and elsewhere, for
//! R-Net and O-Net where the previous nets detect faces. [`ShardBatches`] draws batches from such a file.
//! Both are functions of settings, seed and images alone, regardless of the number of threads; the outputs of
//! a teacher ([`label()`]) may differ in their last digits between machines.

mod augment;
mod batches;
mod judge;
mod law;
mod merge;
mod pixels;
mod pool;
mod prepare;
mod random;
mod ratio;
mod search;
mod shard;
mod teacher;
mod window;

use std::path::{Path, PathBuf};

use crate::cascade::DetectError;
use crate::data::DataError;

pub use batches::ShardBatches;
pub use pool::{DataPart, Photo, photos};
pub use prepare::{CropJob, CropProgress, CropReport, prepare};
pub use ratio::Ratio;
pub use search::Earlier;
pub use shard::{CropRecord, Shard, ShardError};
pub use teacher::label;
pub use window::{SampleKind, Targets};

/// Error for crops that could not be cut or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CropsError {
    /// Annotations cannot be read, or contain a fault in strict mode.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of crops cannot be read or written.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The previous nets failed on an image.
    #[error("searching {path:?} with the nets before this one failed")]
    Detect {
        /// Path of the image.
        path: PathBuf,
        /// Error of the cascade.
        #[source]
        source: DetectError,
    },
    /// The previous nets cannot be created.
    #[error("the nets that find crops for {net} cannot be made of the weights that were given")]
    Earlier {
        /// Net that the crops are for.
        net: String,
        /// Error of the cascade.
        #[source]
        source: DetectError,
    },
    /// The teacher cannot be created.
    #[error("no teacher can be made of the weights that were given")]
    NoTeacher {
        /// Cause of the error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The teacher failed on an image.
    #[error("the teacher failed on {path:?}")]
    Teacher {
        /// Path of the image.
        path: PathBuf,
        /// Cause of the error.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The weights of the previous nets, which find the crops of R-Net and O-Net, are missing.
    #[error("crops for {net} are what the nets before it find: their weights are needed")]
    NoWeights {
        /// Net that the crops are for.
        net: String,
    },
    /// The name of the net is unknown.
    #[error("there is no net {name:?}; pnet, rnet and onet can be trained")]
    NoNet {
        /// Name given.
        name: String,
    },
    /// The settings contain no source of images.
    #[error("no annotated images are given; name them in the settings under [[data.sources]]")]
    NoSource,
    /// A source without a single image.
    #[error("{annotations:?} names no image that could be used{}", listed(reasons))]
    NoImage {
        /// Path of the file of annotations.
        annotations: PathBuf,
        /// What is wrong with its lines.
        reasons: Vec<String>,
    },
    /// No image of any source can be read.
    #[error("none of the {count} images can be read; the first: {first}")]
    NoneReadable {
        /// Number of images.
        count: usize,
        /// Error of the first image.
        first: String,
    },
    /// The images yield no training crop.
    #[error("no crop to learn from came of {images} training images; see data.crops in the settings, and the faults that were named")]
    NoCrop {
        /// Number of training images.
        images: usize,
    },
    /// The crops are for another net.
    #[error("{path:?} holds crops of {found} pixels, {net} needs {side}; prepare crops for {net}")]
    OtherNet {
        /// Path of the file of crops.
        path: PathBuf,
        /// Net to be trained.
        net: String,
        /// Side of its input, px.
        side: u32,
        /// Side of the crops, px.
        found: u32,
    },
    /// There is no training crop of a kind that batches need.
    #[error(
        "{path:?} has no {} to learn from, of which {net}.ratio = {ratio:?} wants some in each batch: add a source that has them, or set that \
         share to 0", sample.name()
    )]
    Missing {
        /// Path of the file of crops.
        path: PathBuf,
        /// Kind that is missing.
        sample: SampleKind,
        /// Net to be trained.
        net: String,
        /// Shares of negatives, positives, parts and landmark faces.
        ratio: [u32; 4],
    },
}

/// The first of `reasons`, and how many more there are.
fn listed(reasons: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut text: String = reasons.iter().take(SHOWN).map(|reason| format!("; {reason}")).collect();
    if reasons.len() > SHOWN {
        text += &format!("; and {} more", reasons.len() - SHOWN);
    }
    text
}

impl CropsError {
    fn teacher(path: &Path, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Teacher { path: path.into(), source: source.into() }
    }
}
