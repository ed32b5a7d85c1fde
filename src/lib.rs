//! Face detection and alignment by a cascade of three small networks, in hand-written compute kernels.
//!
//! ```no_run
//! use mtcmcn::{Config, Detector, Device, Engine, Frame, Weights};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open(&Device::Auto)?;
//! let weights = Weights::builtin();
//! let mut detector = Detector::new(engine, &weights, Config::for_weights(&weights))?;
//! let frame = Frame::from_rgba(640, 480, vec![0; 640 * 480 * 4]).ok_or("width x height x 4 bytes are needed")?;
//! for face in detector.detect(&frame)?.faces {
//!     println!("{:?} {:.3} {:?}", face.bounding_box, face.score, face.landmarks);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! A [`Detector`] records the whole cascade as data ([`record`]) and an [`Engine`] plays it: on a GPU as one
//! submission, on the CPU with native code, or with the scalar *twin* of every kernel, which is its
//! specification. [`engine::compare`] replays a recording against the twin.

pub mod cascade;
pub mod data;
pub mod doctor;
pub mod engine;
#[cfg(feature = "toolkit")]
pub mod eval;
pub mod files;
mod formats;
pub mod geometry;
pub mod kernels;
pub mod measure;
pub mod nets;
#[cfg(feature = "toolkit")]
pub mod picture;
#[cfg(feature = "toolkit")]
pub mod plot;
#[cfg(feature = "toolkit")]
pub mod recognize;
pub mod record;
mod simd;
pub mod tensor;
pub mod train;
#[cfg(feature = "toolkit")]
pub mod video;
pub mod weights;

pub use cascade::{Capacity, Config, DetectError, Detections, Detector, Face, Frame, Ticket};
pub use engine::{Device, Engine, EngineError};
#[cfg(feature = "toolkit")]
pub use recognize::{Embedding, RecognizeError, Recognizer};
pub use weights::Weights;
