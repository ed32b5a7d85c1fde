//! [`Detector`]: a frame in, faces out.

use glam::Vec2;

use super::plan::{Budget, Counters, Plan};
use super::pyramid::{self, Level};
use super::{Config, ConfigError};
use crate::engine::{Engine, EngineError, Session};
use crate::geometry::{BoundingBox, Landmarks};
use crate::kernels::select::{Counter, Faces};
use crate::nets::{NetError, ONET, PNET, RNET};
use crate::record::{Recording, Slot};
use crate::weights::Weights;

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
    /// A setting is out of range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The weights do not fit the nets, or the frame is too large to index.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// No face of the smallest size fits; only [`Detector::session`] minds.
    #[error("a frame of {width} x {height} pixels is smaller than a face of {min_face_px} px")]
    FrameTooSmall {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// [`Config::min_face_px`].
        min_face_px: f64,
    },
    /// A side so long that pixel positions do not fit 32 bits.
    #[error("a frame of {width} x {height} pixels is too large for a minimum face of {min_face_px} px; use a larger minimum face")]
    FrameTooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// [`Config::min_face_px`].
        min_face_px: f64,
    },
    /// A net produced NaN or infinity.
    #[error(
        "a network produced a score that is not a number: the weights are broken, or the device computes wrongly (see `mtcmcn doctor`)"
    )]
    NotANumber,
}

/// The cascade for one frame size, ready to play.
struct Prepared {
    size: [u32; 2],
    session: Session,
    frame: Slot,
    faces: Slot,
    counters: Counters,
}

/// Finds faces in frames.
///
/// Buffers are kept from frame to frame and kernels are compiled once per engine. Frames may differ in size: the last few sizes stay ready.
pub struct Detector {
    engine: Engine,
    weights: Weights,
    config: Config,
    /// Most recent last.
    ready: Vec<Prepared>,
}

/// Frame sizes that stay ready.
const READY: usize = 2;

impl Detector {
    /// A detector that runs on `engine` with `weights`.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit the nets.
    pub fn new(engine: Engine, weights: &Weights, config: Config) -> Result<Self, DetectError> {
        config.validate()?;
        for net in [PNET, RNET, ONET] {
            net.forward(&mut Recording::new(), weights)?;
        }
        Ok(Self { engine, weights: weights.clone(), config, ready: Vec::new() })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Finds faces in `frame`, best first, at most [`Config::max_faces`].
    ///
    /// Boxes and landmarks are in `image` space: pixels, origin at the top-left *corner* of the top-left pixel, y down; they may reach
    /// outside the frame. Scores are in `(0, 1]`. On a GPU this is one submission and one read-back; it blocks until that lands. A frame
    /// smaller than the smallest face has none.
    ///
    /// # Errors
    ///
    /// [`DetectError::Engine`] if the device fails (a frame that it cannot hold is searched on the CPU instead), [`DetectError::NotANumber`] if a net produces NaN. More
    /// candidates than a stage can hold is not an error: see [`Detections::truncated`].
    pub fn detect(&mut self, frame: &Frame) -> Result<Detections, DetectError> {
        let size = [frame.width, frame.height];
        let levels = pyramid::levels(frame.width, frame.height, &self.config);
        if levels.is_empty() {
            return Ok(Detections::default());
        }
        let prepared = match self.ready.iter().position(|prepared| prepared.size == size) {
            Some(i) => self.ready.remove(i),
            None => {
                // Room first: a large frame's buffers should not have to fit beside another's.
                self.ready.drain(..(self.ready.len() + 1).saturating_sub(READY));
                self.prepare(size, &levels)?
            }
        };
        self.ready.push(prepared);
        let prepared = self.ready.last_mut().expect("just pushed");
        prepared.session.write(prepared.frame, &frame.rgba);
        let played = prepared.session.play();
        if played.is_err() {
            self.ready.clear();
        }
        let outputs = played?;
        let prepared = self.ready.last().expect("just played");
        prepared.collect(&outputs)
    }

    /// Records and loads the cascade for frames of `size`, without playing it: for `doctor`.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; [`DetectError::FrameTooSmall`] for a frame that no face fits in.
    pub fn session(&self, frame: &Frame) -> Result<Session, DetectError> {
        let levels = pyramid::levels(frame.width, frame.height, &self.config);
        let mut prepared = self.prepare([frame.width, frame.height], &levels)?;
        prepared.session.write(prepared.frame, &frame.rgba);
        Ok(prepared.session)
    }

    fn prepare(&self, size: [u32; 2], levels: &[Level]) -> Result<Prepared, DetectError> {
        let [width, height] = size;
        let pixels = u64::from(width) * u64::from(height);
        if levels.is_empty() {
            return Err(DetectError::FrameTooSmall { width, height, min_face_px: self.config.min_face_px });
        }
        if pixels > 1 << 30 || !pyramid::fits_taps(width, height, levels, self.config.resampling) {
            return Err(DetectError::FrameTooLarge { width, height, min_face_px: self.config.min_face_px });
        }
        match self.load(&self.engine, size, levels) {
            // A frame that a device cannot hold is searched all the same.
            Err(DetectError::Engine(error @ (EngineError::TooLarge { .. } | EngineError::OutOfMemory { .. }))) => {
                tracing::warn!("{width} x {height} pixels are searched on the CPU: {error}");
                self.load(&Engine::cpu(), size, levels)
            }
            other => other,
        }
    }

    fn load(&self, engine: &Engine, size: [u32; 2], levels: &[Level]) -> Result<Prepared, DetectError> {
        let budget = if engine.gpu().is_some() { Budget::GPU } else { Budget::CPU };
        let Plan { recording, frame, faces, counters } = Plan::new(size, levels, &self.weights, &self.config, budget)?;
        let session = engine.load(recording)?;
        Ok(Prepared { size, session, frame, faces, counters })
    }
}

impl Prepared {
    fn collect(&self, outputs: &[(Slot, Vec<f32>)]) -> Result<Detections, DetectError> {
        let output = |slot: Slot| outputs.iter().find(|(other, _)| *other == slot).map_or(&[][..], |(_, data)| data);
        let counters = self.counters.map(|slot| Counter::read(output(slot)));
        let last = counters[6];
        if last.fault != 0 {
            return Err(DetectError::NotANumber);
        }
        let [cells, level_nms, merged, rnet, rnet_nms, onet, _] = counters.map(|counter| counter.wanted);
        let words = &output(self.faces)[..last.held as usize * Faces::WORDS];
        if words.iter().any(|word| !word.is_finite()) {
            return Err(DetectError::NotANumber);
        }
        let faces = words.chunks_exact(Faces::WORDS).map(face).collect();
        Ok(Detections {
            faces,
            // The last list is as long as the caller wants it.
            truncated: counters[..6].iter().any(|counter| counter.held < counter.wanted),
            counts: StageCounts { cells, level_nms, merged, rnet, rnet_nms, onet, faces: last.held },
        })
    }
}

/// A face from the words that the last kernel wrote.
fn face(words: &[f32]) -> Face {
    Face {
        bounding_box: BoundingBox { x1: words[0], y1: words[1], x2: words[2], y2: words[3] },
        score: words[4],
        landmarks: std::array::from_fn(|k| Vec2::new(words[5 + k], words[10 + k])),
    }
}
