//! Why weights cannot be had.

use std::path::PathBuf;

use crate::files::FileError;
#[cfg(feature = "toolkit")]
use crate::formats::bytes::FormatError;

/// Why weights could not be read, written, imported or used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Access(#[from] FileError),
    /// One file of several is at fault.
    #[error("cannot use {path:?} as weights")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<WeightsError>,
    },
    /// Not a safetensors file, or not a whole one.
    #[error("not a whole safetensors file; copy it again, or if it is another format run `mtcmcn import` on it")]
    Safetensors {
        /// What the reader said.
        #[source]
        source: safetensors::SafeTensorError,
    },
    /// Element type other than F32 or F16.
    #[error("tensor {name:?} holds {dtype} elements; convert it to F32 or F16")]
    Dtype {
        /// Tensor.
        name: String,
        /// Its element type.
        dtype: String,
    },
    /// A tensor that a net needs is not there.
    #[error("weights have no tensor {name:?}; shape {want:?} is needed, so use a complete set of weights")]
    Missing {
        /// Tensor.
        name: String,
        /// Shape needed.
        want: Vec<usize>,
    },
    /// A tensor does not fit its net.
    #[error("tensor {name:?} is {got:?}, {want:?} is needed; these weights are for another net")]
    Shape {
        /// Tensor.
        name: String,
        /// Shape found.
        got: Vec<usize>,
        /// Shape needed.
        want: Vec<usize>,
    },
    /// Shape and data disagree.
    #[error("tensor {name:?} of shape {shape:?} has {len} elements; give it as many as its shape says")]
    Length {
        /// Tensor.
        name: String,
        /// Shape claimed.
        shape: Vec<usize>,
        /// Elements there.
        len: usize,
    },
    /// NaN or infinity, which would silently spoil every result.
    #[error("tensor {name:?} has {value} at element {index}; weights must be finite, so get an undamaged file")]
    NotFinite {
        /// Tensor.
        name: String,
        /// First bad element, row-major.
        index: usize,
        /// NaN or an infinity.
        value: f32,
    },
    /// A file that ends early, contradicts itself, or uses a part of its format that no weights of these nets
    /// use.
    #[error("{format} data damaged or unsupported at byte {at}: {what}; get the file again from where it came")]
    Malformed {
        /// Format being read.
        format: &'static str,
        /// Offset in that data.
        at: usize,
        /// What is wrong there.
        what: String,
    },
    /// Not a zip archive, or not a whole one.
    #[cfg(feature = "toolkit")]
    #[error("cannot read zip member {member:?}; get the archive again from where it came")]
    Zip {
        /// File inside the archive; empty for the archive itself.
        member: String,
        /// What the reader said.
        #[source]
        source: zip::result::ZipError,
    },
    /// A net appears twice among the sources.
    #[error("both {first} and {second} hold {net}; give one set of weights at a time")]
    Twice {
        /// Net.
        net: &'static str,
        /// Where it was first.
        first: String,
        /// Where it was again.
        second: String,
    },
    /// A net appears nowhere among the sources.
    #[error(
        "no {net} in {}; give PyTorch pnet.pt, rnet.pt and onet.pt, Caffe det1, det2 and det3.caffemodel, \
         mtcnn_weights.npy, numpy files of one net each, a directory that holds them, or a wheel of facenet-pytorch or mtcnn 0.1.1",
        if looked.is_empty() { "what was given: no file there could hold weights".to_owned() } else { format!("{looked:?}") }
    )]
    NoNet {
        /// Net.
        net: &'static str,
        /// Files that were looked at.
        looked: Vec<String>,
    },
}

#[cfg(feature = "toolkit")]
impl From<FormatError> for WeightsError {
    fn from(FormatError { format, at, what }: FormatError) -> Self {
        Self::Malformed { format, at, what }
    }
}
