//! Recordings of the cascade that stay loaded, by frame size; shared by [`super::Detector`] and
//! [`super::Proposer`].

use super::Config;
use super::found::{DetectError, Frame};
use super::plan::{Depth, Frames, Plan};
use super::pyramid::{self, PyramidLevel};
use super::result::ResultSlots;
use crate::engine::{Engine, EngineError, Session};
use crate::nets::{Fused, ONET, PNET, RNET};
use crate::record::{DeviceFacts, Recording, Slot};
use crate::weights::Weights;

/// The cascade, or its first nets, on one engine, with the recordings that are loaded already.
pub struct Ready {
    engine: Engine,
    weights: Weights,
    config: Config,
    /// Depth at which the cascade ends; `None` for the whole cascade.
    depth: Option<Depth>,
    /// Largest number of recordings that stay loaded.
    room: usize,
    /// Loaded recordings, most recently used last.
    prepared: Vec<Prepared>,
}

/// The cascade for a number of frames of one size, ready to play.
pub struct Prepared {
    /// Number and size of the frames.
    pub frames: Frames,
    /// The recording, loaded on a device.
    pub session: Session,
    /// Input: packed pixels of all images.
    pub pixels: Slot,
    /// Where the result is.
    pub result: ResultSlots,
}

impl Ready {
    /// Creates the cascade without loaded recordings; at most `room` recordings will stay loaded.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights of a net down to
    /// `depth` are missing or do not fit.
    pub fn new(engine: Engine, weights: &Weights, config: Config, depth: Option<Depth>, room: usize) -> Result<Self, DetectError> {
        config.validate()?;
        let nets = match depth {
            Some(Depth::Pnet) => &[PNET][..],
            Some(Depth::Rnet) => &[PNET, RNET],
            None => &[PNET, RNET, ONET],
        };
        for net in nets {
            Fused::whole(*net, &mut Recording::new(), weights, DeviceFacts::HOST)?;
        }
        Ok(Self { engine, weights: weights.clone(), config, depth, room, prepared: Vec::new() })
    }

    /// Returns the engine that the cascade runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the pyramid levels of `frame`; empty if it is smaller than the smallest face.
    pub fn levels(&self, frame: &Frame) -> Vec<PyramidLevel> {
        pyramid::levels(frame.width, frame.height, &self.config)
    }

    /// Returns the frames of the most recently used recording.
    pub fn latest(&self) -> Option<Frames> {
        self.prepared.last().map(|prepared| prepared.frames)
    }

    /// Returns whether a recording must be discarded before one for `frames` can be loaded.
    pub fn is_full_for(&self, frames: Frames) -> bool {
        self.prepared.len() >= self.room && self.get(frames).is_none()
    }

    /// Returns the recording for `frames`, if it is loaded.
    pub fn get(&self, frames: Frames) -> Option<&Prepared> {
        self.prepared.iter().find(|prepared| prepared.frames == frames)
    }

    /// Returns the recording for `frames`, if it is loaded, to be written to and played.
    pub fn get_mut(&mut self, frames: Frames) -> Option<&mut Prepared> {
        self.prepared.iter_mut().find(|prepared| prepared.frames == frames)
    }

    /// Returns the recording for `frames`; if it is not loaded, prepares it now in place of the least
    /// recently used one.
    ///
    /// # Errors
    ///
    /// As for [`Ready::prepare`].
    pub fn get_or_prepare(&mut self, frames: Frames, levels: &[PyramidLevel]) -> Result<&mut Prepared, DetectError> {
        let prepared = match self.prepared.iter().position(|prepared| prepared.frames == frames) {
            Some(i) => self.prepared.remove(i),
            None => {
                // Memory is released first: the buffers of a large frame should not have to fit beside those
                // of another.
                self.prepared.drain(..(self.prepared.len() + 1).saturating_sub(self.room));
                self.prepare(frames, levels)?
            }
        };
        self.prepared.push(prepared);
        Ok(self.prepared.last_mut().expect("just pushed"))
    }

    /// Discards all recordings: after a failure the next frame starts from a clean state.
    pub fn clear(&mut self) {
        self.prepared.clear();
    }

    /// Records the cascade for `frames` and loads it, independently of the recordings that stay loaded.
    /// Frames that do not fit the device are searched on the CPU.
    ///
    /// # Errors
    ///
    /// [`DetectError::FrameTooSmall`] if `levels` is empty, [`DetectError::FrameTooLarge`],
    /// [`DetectError::Net`] if a pass is too large to index, [`DetectError::Engine`] if the device fails.
    pub fn prepare(&self, frames: Frames, levels: &[PyramidLevel]) -> Result<Prepared, DetectError> {
        let [width, height] = frames.size;
        let pixels = u64::from(width) * u64::from(height);
        if levels.is_empty() {
            return Err(DetectError::FrameTooSmall { width, height, min_face_px: self.config.min_face_px });
        }
        if pixels > 1 << 30 || !pyramid::fits_taps(width, height, levels, self.config.resampling) {
            return Err(DetectError::FrameTooLarge { width, height, min_face_px: self.config.min_face_px });
        }
        match self.load(&self.engine, frames, levels) {
            Err(DetectError::Engine(
                error @ (EngineError::TooLarge { .. } | EngineError::TooManyGroups { .. } | EngineError::OutOfMemory { .. }),
            )) => {
                tracing::warn!("{width} x {height} pixels are searched on the CPU: {error}");
                self.load(&Engine::cpu(), frames, levels)
            }
            other => other,
        }
    }

    fn load(&self, engine: &Engine, frames: Frames, levels: &[PyramidLevel]) -> Result<Prepared, DetectError> {
        let plan = Plan::new(frames, levels, &self.weights, &self.config, engine.facts(), self.depth)?;
        let Plan { recording, pixels, result } = plan;
        Ok(Prepared { frames, session: engine.load(recording)?, pixels, result })
    }
}
