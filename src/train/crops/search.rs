//! Search of many images at once with the shortened cascade.

use std::borrow::Borrow;
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::Photo;
use crate::cascade::{Capacity, Config, Depth, DetectError, Frame, Proposals, Proposer};
use crate::engine::Engine;
use crate::train::config::CropConfig;
use crate::train::run::Cause;
use crate::weights::Weights;

/// Capacity of each stage: low thresholds pass more candidates than in a detector.
const ROOM: Capacity = Capacity { candidates: 8192, rnet: 2048, onet: 2048 };

/// The nets before the one that crops are for.
#[derive(Clone, Copy)]
pub struct Earlier<'a> {
    /// Engine that runs the nets.
    pub engine: &'a Engine,
    /// Weights of the nets; others are ignored.
    pub weights: &'a Weights,
}

/// An image, or the reason why it cannot be read.
pub type Loaded = Result<Frame, Cause>;

/// Proposals of the previous nets in an image.
pub type SearchResult = Result<Proposals, DetectError>;

/// The first nets of a cascade.
pub struct Searcher {
    engine: Engine,
    weights: Weights,
    config: Config,
    depth: Depth,
    /// Proposers that are not in use, each with its smallest face.
    idle: Mutex<Vec<(f64, Proposer)>>,
}

impl Searcher {
    /// Creates the first `nets` down to `depth`, with the `thresholds` of P-Net and R-Net.
    pub fn new(nets: Earlier<'_>, law: &CropConfig, thresholds: [f32; 2], depth: Depth) -> Result<Self, DetectError> {
        let [pnet, rnet] = thresholds;
        let mut config = Config::default();
        (config.min_face_px, config.factor, config.thresholds) = (law.detect_min_face_px, law.detect_factor, [pnet, rnet, 1.0]);
        config.capacity = Some(ROOM);
        let (engine, weights) = (nets.engine.clone(), nets.weights.clone());
        let searcher = Self { engine, weights, config, depth, idle: Mutex::new(Vec::new()) };
        // Creating the first proposer now reports weights that do not fit.
        let first = searcher.made(law.detect_min_face_px)?;
        searcher.rest(law.detect_min_face_px, first);
        Ok(searcher)
    }

    fn made(&self, min_face_px: f64) -> Result<Proposer, DetectError> {
        Proposer::new(self.engine.clone(), &self.weights, Config { min_face_px, ..self.config.clone() }, self.depth)
    }

    /// Searches each frame, the image of the photo at the same place: on the CPU several in parallel, on a
    /// GPU one after the other. `least` gives the smallest face of a photo that says one.
    pub fn search(&self, photos: &[impl Borrow<Photo> + Sync], frames: &[Loaded], least: impl Fn(f64) -> f64 + Sync) -> Vec<SearchResult> {
        let one = |(photo, frame): (&_, &Loaded)| {
            let min_face_px = Borrow::<Photo>::borrow(photo).min_face_px.map_or(self.config.min_face_px, &least);
            frame.as_ref().map_or_else(|_| Ok(Proposals::default()), |frame| self.search_one(frame, min_face_px))
        };
        if self.engine.gpu().is_some() {
            photos.iter().zip(frames).map(one).collect()
        } else {
            photos.par_iter().zip(frames).map(one).collect()
        }
    }

    /// No lock is held during the search, because this thread may take up another image while it waits.
    fn search_one(&self, frame: &Frame, min_face_px: f64) -> SearchResult {
        let mut proposer = self.idle_for(frame, min_face_px).map_or_else(|| self.made(min_face_px), Ok)?;
        let found = proposer.propose(frame);
        self.rest(min_face_px, proposer);
        found
    }

    /// Takes an idle proposer for faces from `min_face_px` on, preferably one whose last frame had the size
    /// of `frame`.
    fn idle_for(&self, frame: &Frame, min_face_px: f64) -> Option<Proposer> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_size = |(_, proposer): &(f64, Proposer)| proposer.size() == Some([frame.width(), frame.height()]);
        let at = (0..idle.len()).filter(|&at| idle[at].0 == min_face_px).max_by_key(|&at| of_size(&idle[at]))?;
        Some(idle.swap_remove(at).1)
    }

    fn rest(&self, min_face_px: f64, proposer: Proposer) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push((min_face_px, proposer));
    }
}
