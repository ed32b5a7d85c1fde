//! The cascade kept ready by frame size: what [`super::Detector`] and [`super::Proposer`] have in common.

use super::Config;
use super::found::{DetectError, Frame};
use super::plan::{Depth, Frames, Plan};
use super::pyramid::{self, PyramidLevel};
use super::stage::ListId;
use crate::engine::{Engine, EngineError, Outputs, Session};
use crate::kernels::select::Counter;
use crate::nets::{Fused, ONET, PNET, RNET};
use crate::record::{DeviceFacts, Recording, Slot};
use crate::weights::Weights;

/// The cascade, or its beginning, on one engine, with the recordings that are loaded already.
pub struct Ready {
    engine: Engine,
    weights: Weights,
    config: Config,
    /// Where it ends; `None` for faces.
    depth: Option<Depth>,
    /// How many recordings stay loaded.
    room: usize,
    /// Most recent last.
    prepared: Vec<Prepared>,
}

/// The cascade for some frames of one size, ready to play.
pub struct Prepared {
    /// For which frames.
    pub frames: Frames,
    /// The recording on a device.
    pub session: Session,
    /// Packed pixels of all images go here.
    pub pixels: Slot,
    /// The last list, `[images, capacity]` items.
    pub last: Slot,
    /// Which list that is.
    pub last_id: ListId,
    /// How many candidates each step left: counters `[LISTS, images]`.
    pub counters: Slot,
}

/// What the cascade left of one image.
pub struct Remaining<'a> {
    /// The items of the last list, as its kernel wrote them.
    pub words: &'a [f32],
    /// Counters of the lists of candidates, in the order of [`ListId`].
    pub lists: [Counter; 6],
    /// Items in `words`.
    pub held: u32,
    /// Some list had less room than there were candidates. The list of faces is as long as the caller wants it, and is not meant.
    pub truncated: bool,
}

impl Ready {
    /// Nothing prepared yet; at most `room` recordings will stay so.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights of a net down to `depth` are missing or do not fit.
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

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Pyramid levels of `frame`; none if it is smaller than the smallest face.
    pub fn levels(&self, frame: &Frame) -> Vec<PyramidLevel> {
        pyramid::levels(frame.width, frame.height, &self.config)
    }

    /// The frames that were prepared for last.
    pub fn latest(&self) -> Option<Frames> {
        self.prepared.last().map(|prepared| prepared.frames)
    }

    /// Whether something has to go before `frames` can be prepared for.
    pub fn is_full_for(&self, frames: Frames) -> bool {
        self.prepared.len() >= self.room && self.get(frames).is_none()
    }

    /// What is prepared for `frames`, if that is.
    pub fn get(&self, frames: Frames) -> Option<&Prepared> {
        self.prepared.iter().find(|prepared| prepared.frames == frames)
    }

    /// The same to be written to and played.
    pub fn get_mut(&mut self, frames: Frames) -> Option<&mut Prepared> {
        self.prepared.iter_mut().find(|prepared| prepared.frames == frames)
    }

    /// What is prepared for `frames`, else it is prepared now in place of what was used longest ago.
    ///
    /// # Errors
    ///
    /// As [`Ready::prepare`].
    pub fn get_or_prepare(&mut self, frames: Frames, levels: &[PyramidLevel]) -> Result<&mut Prepared, DetectError> {
        let prepared = match self.prepared.iter().position(|prepared| prepared.frames == frames) {
            Some(i) => self.prepared.remove(i),
            None => {
                // Room first: a large frame's buffers should not have to fit beside another's.
                self.prepared.drain(..(self.prepared.len() + 1).saturating_sub(self.room));
                self.prepare(frames, levels)?
            }
        };
        self.prepared.push(prepared);
        Ok(self.prepared.last_mut().expect("just pushed"))
    }

    /// Keeps nothing: after a failure the next frame starts afresh.
    pub fn clear(&mut self) {
        self.prepared.clear();
    }

    /// Records the cascade for `frames` and loads it, apart from what is kept. A frame that is too much for a device is searched on the CPU.
    ///
    /// # Errors
    ///
    /// [`DetectError::FrameTooSmall`] without levels, [`DetectError::FrameTooLarge`], [`DetectError::Net`] if a pass is too large to index,
    /// [`DetectError::Engine`] if the device fails.
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
        let Plan { recording, pixels, last, last_id, counters } = plan;
        Ok(Prepared { frames, session: engine.load(recording)?, pixels, last, last_id, counters })
    }
}

impl Prepared {
    /// What is left of each image, from what a play gave.
    ///
    /// # Errors
    ///
    /// [`DetectError::NotANumber`] for an image in which a net produced NaN.
    pub fn left<'a>(&self, outputs: &'a Outputs) -> impl Iterator<Item = Result<Remaining<'a>, DetectError>> {
        let output = |slot: Slot| outputs.iter().find(|(other, _)| *other == slot).map_or(&[][..], |(_, data)| data);
        let (last, counters, images, last_id) = (output(self.last), output(self.counters), self.frames.images, self.last_id);
        let each = last.chunks_exact((last.len() / images as usize).max(1)).enumerate();
        each.map(move |(image, words)| {
            let counter = |list: ListId| Counter::at(counters, list as u32, images, image);
            let end = counter(last_id);
            let words = &words[..end.held as usize * last_id.words()];
            if end.fault != 0 || words.iter().any(|word| !word.is_finite()) {
                return Err(DetectError::NotANumber);
            }
            let lists = ListId::CANDIDATES.map(counter);
            let played = ListId::CANDIDATES.iter().zip(&lists).filter(|(list, _)| **list as u32 <= last_id as u32);
            let truncated = played.into_iter().any(|(_, counter)| counter.held < counter.wanted);
            Ok(Remaining { words, lists, held: end.held, truncated })
        })
    }
}
