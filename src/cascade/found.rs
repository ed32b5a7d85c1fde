//! What goes into a [`super::Detector`] and what comes out.

use std::sync::Arc;

use glam::Vec2;

use super::ConfigError;
use crate::engine::EngineError;
use crate::geometry::{BoundingBox, Landmarks};
use crate::kernels::select::Candidate;
use crate::nets::NetError;

/// An RGB image: what [`super::Detector::detect`] looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) rgba: Vec<u8>,
}

impl Frame {
    /// A frame of `width x height` pixels from rows of R, G, B, A bytes; alpha is ignored. `None` if the length does not fit or a side is 0.
    pub fn from_rgba(width: u32, height: u32, rgba: Vec<u8>) -> Option<Self> {
        let len = u64::from(width) * u64::from(height) * 4;
        (width > 0 && height > 0 && rgba.len() as u64 == len).then_some(Self { width, height, rgba })
    }

    /// Columns, px.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows, px.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Rows of R, G, B, A bytes.
    pub fn rgba(&self) -> &[u8] {
        &self.rgba
    }
}

/// One face, in `image` space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// Pixel edges; may reach outside the frame.
    pub bounding_box: BoundingBox,
    /// Face probability by O-Net, in `(0, 1]`.
    pub score: f32,
    /// Five points.
    pub landmarks: Landmarks,
}

/// Number of candidates left after each step of the cascade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StageCounts {
    /// P-Net cells over the threshold.
    pub cells: u32,
    /// After NMS inside each pyramid level.
    pub level_nms: u32,
    /// After NMS across levels: R-Net's crops.
    pub merged: u32,
    /// Over R-Net's threshold.
    pub rnet: u32,
    /// After NMS: O-Net's crops.
    pub rnet_nms: u32,
    /// Over O-Net's threshold.
    pub onet: u32,
    /// After NMS: faces.
    pub faces: u32,
}

/// What [`super::Detector::detect`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Detections {
    /// Faces, best first.
    pub faces: Vec<Face>,
    /// Some stage had more candidates than [`crate::Capacity`] allows, so faces may be missing.
    pub truncated: bool,
    /// How many candidates each step left.
    pub counts: StageCounts,
}

/// Why a frame could not be searched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DetectError {
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights do not fit the nets, or the frame is too large to index.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No face of the smallest size fits; only [`super::Detector::session`] minds.
    #[error("a frame of {width} x {height} pixels is smaller than a face of {min_face_px} px")]
    FrameTooSmall {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// [`super::Config::min_face_px`].
        min_face_px: f64,
    },
    /// A side so long that pixel positions do not fit 32 bits.
    #[error("a frame of {width} x {height} pixels is too large for a minimum face of {min_face_px} px; use a larger minimum face")]
    FrameTooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// [`super::Config::min_face_px`].
        min_face_px: f64,
    },
    /// A net produced NaN or infinity.
    #[error(
        "a network produced a score that is not a number: the weights are broken, or the device computes wrongly (see `mtcmcn doctor`)"
    )]
    NotANumber,
    /// A ticket that this detector did not give.
    #[error("this frame was submitted to another detector")]
    ForeignTicket,
}

/// A frame that [`super::Detector::submit`] took: hand it to [`super::Detector::collect`]. If dropped, the frame's result is, too.
#[derive(Debug)]
pub struct Ticket(pub(super) Arc<()>);

/// From the cascade's 1-based inclusive corners to pixel edges (spec section 3.1).
pub(super) fn edges(candidate: &Candidate) -> BoundingBox {
    let [x1, y1, x2, y2] = candidate.corners;
    BoundingBox { x1: x1 - 1.0, y1: y1 - 1.0, x2, y2 }
}

/// A face from the words that the last kernel wrote.
pub(super) fn face(words: &[f32]) -> Face {
    Face {
        bounding_box: BoundingBox { x1: words[0], y1: words[1], x2: words[2], y2: words[3] },
        score: words[4],
        landmarks: std::array::from_fn(|k| Vec2::new(words[5 + k], words[10 + k])),
    }
}
