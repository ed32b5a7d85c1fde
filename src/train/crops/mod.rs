//! From annotated images to batches of crops (spec sections 4.1, 4.2, 4.5 to 4.7).
//!
//! [`prepare()`] cuts the crops of one net into a file: for P-Net by chance around faces and elsewhere, for R- and O-Net where the nets before
//! them see faces. [`ShardBatches`] draws batches from such a file. Both are functions of settings, seed and images alone, whatever the number
//! of threads; what a teacher ([`label()`]) says may differ in its last digits from machine to machine.

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

/// Why crops could not be cut or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CropsError {
    /// Annotations cannot be read, or the first fault in them where faults are not to be skipped.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A file of crops cannot be read or written.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The nets before this one failed on an image.
    #[error("searching {path:?} with the nets before this one failed")]
    Detect {
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        source: DetectError,
    },
    /// The nets before this one cannot be made.
    #[error("the nets that find crops for {net} cannot be made of the weights that were given")]
    Earlier {
        /// Which net the crops are for.
        net: String,
        /// Why.
        #[source]
        source: DetectError,
    },
    /// A teacher cannot be made.
    #[error("no teacher can be made of the weights that were given")]
    NoTeacher {
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A teacher failed on an image.
    #[error("the teacher failed on {path:?}")]
    Teacher {
        /// The image.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Crops of R- and O-Net are found by the nets before them.
    #[error("crops for {net} are what the nets before it find: their weights are needed")]
    NoWeights {
        /// Which net the crops are for.
        net: String,
    },
    /// There is no net of that name.
    #[error("there is no net {name:?}; pnet, rnet and onet can be trained")]
    NoNet {
        /// What was asked for.
        name: String,
    },
    /// No source is given.
    #[error("no annotated images are given; name them in the settings under [[data.sources]]")]
    NoSource,
    /// A source without a single image.
    #[error("{annotations:?} names no image that could be used{}", listed(reasons))]
    NoImage {
        /// The file of annotations.
        annotations: PathBuf,
        /// What is wrong with its lines.
        reasons: Vec<String>,
    },
    /// Not one image of all sources can be read.
    #[error("none of the {count} images can be read; the first: {first}")]
    NoneReadable {
        /// How many there are.
        count: usize,
        /// What is wrong with the first.
        first: String,
    },
    /// Images, but not one training crop.
    #[error("no crop to learn from came of {images} training images; see data.crops in the settings, and the faults that were named")]
    NoCrop {
        /// How many images there are to learn from.
        images: usize,
    },
    /// Crops for another net.
    #[error("{path:?} holds crops of {found} pixels, {net} needs {side}; prepare crops for {net}")]
    OtherNet {
        /// The file.
        path: PathBuf,
        /// The net that is to be trained.
        net: String,
        /// Side of its input, px.
        side: u32,
        /// Side of the crops, px.
        found: u32,
    },
    /// A kind of crop that a batch should have, but of which there is none.
    #[error(
        "{path:?} has no {} to learn from, of which {net}.ratio = {ratio:?} wants some in each batch: add a source that has them, or set that \
         share to 0", sample.name()
    )]
    Missing {
        /// The file.
        path: PathBuf,
        /// What is missing.
        sample: SampleKind,
        /// The net that is to be trained.
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
