//! The cascade cut short, over many images at once.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use crate::cascade::{Capacity, Config, Depth, DetectError, Frame, Proposals, Proposer};
use crate::engine::Engine;
use crate::train::config::CropConfig;
use crate::train::run::Cause;
use crate::weights::Weights;

/// At low thresholds there are more candidates than a detector would keep.
const ROOM: Capacity = Capacity { candidates: 8192, rnet: 2048, onet: 2048 };

/// The nets before the one that crops are for.
#[derive(Clone, Copy)]
pub struct Earlier<'a> {
    /// What they run on.
    pub engine: &'a Engine,
    /// Their weights; others do not matter.
    pub weights: &'a Weights,
}

/// An image, or why it cannot be read.
pub type Loaded = Result<Frame, Cause>;

/// What the nets before see in an image.
pub type SearchResult = Result<Proposals, DetectError>;

/// The first nets of a cascade.
pub struct Searcher {
    engine: Engine,
    weights: Weights,
    config: Config,
    depth: Depth,
    /// Made and not at work.
    idle: Mutex<Vec<Proposer>>,
}

impl Searcher {
    /// `nets` down to `depth`, at `thresholds` of the first two.
    pub fn new(nets: Earlier<'_>, law: &CropConfig, thresholds: [f32; 2], depth: Depth) -> Result<Self, DetectError> {
        let [pnet, rnet] = thresholds;
        let mut config = Config::default();
        (config.min_face_px, config.factor, config.thresholds) = (law.detect_min_face_px, law.detect_factor, [pnet, rnet, 1.0]);
        config.capacity = Some(ROOM);
        let (engine, weights) = (nets.engine.clone(), nets.weights.clone());
        let searcher = Self { engine, weights, config, depth, idle: Mutex::new(Vec::new()) };
        // Weights that do not fit are told now.
        let first = searcher.made()?;
        searcher.rest(first);
        Ok(searcher)
    }

    fn made(&self) -> Result<Proposer, DetectError> {
        Proposer::new(self.engine.clone(), &self.weights, self.config.clone(), self.depth)
    }

    /// What is found in each frame: on the CPU in several at once, on a GPU in one after the other.
    pub fn search(&self, frames: &[Loaded]) -> Vec<SearchResult> {
        let one = |frame: &Loaded| frame.as_ref().map_or_else(|_| Ok(Proposals::default()), |frame| self.search_one(frame));
        if self.engine.gpu().is_some() { frames.iter().map(one).collect() } else { frames.par_iter().map(one).collect() }
    }

    /// No lock is held meanwhile: this thread may be lent to another image while it waits for others.
    fn search_one(&self, frame: &Frame) -> SearchResult {
        let mut proposer = self.idle_for(frame).map_or_else(|| self.made(), Ok)?;
        let found = proposer.propose(frame);
        self.rest(proposer);
        found
    }

    /// One that has searched a frame of that size last, if there is one.
    fn idle_for(&self, frame: &Frame) -> Option<Proposer> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = idle.iter().position(|proposer| proposer.size() == Some([frame.width(), frame.height()]));
        fitting.map(|at| idle.swap_remove(at)).or_else(|| idle.pop())
    }

    fn rest(&self, proposer: Proposer) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(proposer);
    }
}
