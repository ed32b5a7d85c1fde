//! [`Detector`]: a frame in, faces out.

use glam::Vec2;

use crate::geometry::{BoundingBox, Landmarks};
use crate::{Config, ConfigError, Engine, Weights};

/// An RGB image: what [`Detector::detect`] looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    width: u32,
    height: u32,
    rgba: Vec<u8>,
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

/// What [`Detector::detect`] found.
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
    /// The settings are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Not written yet.
    #[error("not wired")]
    NotWired,
}

/// Finds faces in frames. Keeps its buffers from frame to frame; frames may differ in size.
pub struct Detector {
    _config: Config,
}

impl Detector {
    /// A detector that runs on `engine` with `weights`.
    ///
    /// # Errors
    ///
    /// [`DetectError`] if a setting is out of range, or weights do not fit the nets.
    pub fn new(_engine: Engine, _weights: &Weights, config: Config) -> Result<Self, DetectError> {
        config.validate()?;
        Ok(Self { _config: config })
    }

    /// Finds faces in `frame`, best first.
    ///
    /// # Errors
    ///
    /// [`DetectError`] if the engine fails.
    pub fn detect(&mut self, frame: &Frame) -> Result<Detections, DetectError> {
        let _ = (frame, Vec2::ZERO);
        Err(DetectError::NotWired)
    }
}
