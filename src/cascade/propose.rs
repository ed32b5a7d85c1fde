//! The cascade cut short: what R-Net or O-Net would be shown, which is what they are trained on (spec section 4.5).

use super::Config;
use super::found::{DetectError, Frame};
use super::plan::Plan;
use super::pyramid;
use super::stage::{List, ListId};
use crate::engine::{Engine, Session};
use crate::geometry::BoundingBox;
use crate::kernels::select::{Candidate, Counter};
use crate::record::{DeviceFacts, Slot};
use crate::weights::Weights;

/// How far the cascade goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// P-Net over the pyramid: what R-Net would judge.
    Pnet,
    /// P-Net and R-Net: what O-Net would judge.
    Rnet,
}

/// What the nets so far took for faces, as the next one would see it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposals {
    /// Squares of whole pixels, best first; may reach outside the frame. With the face probability by the last net.
    pub boxes: Vec<(BoundingBox, f32)>,
    /// Some stage had more candidates than [`crate::Capacity`] allows, so some are missing.
    pub truncated: bool,
}

/// Finds what the last nets of the cascade would be shown.
///
/// As with a [`super::Detector`], buffers and kernels are kept; frames of one size are best searched one after another.
pub struct Proposer {
    engine: Engine,
    weights: Weights,
    config: Config,
    depth: Depth,
    ready: Option<Ready>,
}

/// The shortened cascade for frames of one size.
struct Ready {
    size: [u32; 2],
    session: Session,
    frame: Slot,
    boxes: List,
    counters: Slot,
}

impl Proposer {
    /// On `engine`, with the weights of the nets up to `depth`; of `config`, thresholds of later nets are of no meaning.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights are missing or do not fit.
    pub fn new(engine: Engine, weights: &Weights, config: Config, depth: Depth) -> Result<Self, DetectError> {
        config.validate()?;
        let proposer = Self { engine, weights: weights.clone(), config, depth, ready: None };
        // Weights that do not fit are told now, not at the first frame.
        let least = proposer.config.min_face_px.ceil().min(10_000.0) as u32;
        Plan::short([least; 2], &pyramid::levels(least, least, &proposer.config), weights, &proposer.config, DeviceFacts::HOST, depth)?;
        Ok(proposer)
    }

    /// Columns and rows of the frames that it is ready for.
    pub fn size(&self) -> Option<[u32; 2]> {
        self.ready.as_ref().map(|ready| ready.size)
    }

    /// Searches `frame`; one smaller than the smallest face has nothing.
    ///
    /// # Errors
    ///
    /// As [`super::Detector::detect`].
    pub fn propose(&mut self, frame: &Frame) -> Result<Proposals, DetectError> {
        let levels = pyramid::levels(frame.width, frame.height, &self.config);
        if levels.is_empty() {
            return Ok(Proposals::default());
        }
        let size = [frame.width, frame.height];
        if !pyramid::fits_taps(frame.width, frame.height, &levels, self.config.resampling) {
            return Err(DetectError::FrameTooLarge { width: size[0], height: size[1], min_face_px: self.config.min_face_px });
        }
        let ready = match self.ready.take().filter(|ready| ready.size == size) {
            Some(ready) => ready,
            None => {
                let plan = Plan::short(size, &levels, &self.weights, &self.config, self.engine.facts(), self.depth)?;
                Ready { size, session: self.engine.load(plan.recording)?, frame: plan.frame, boxes: plan.boxes, counters: plan.counters }
            }
        };
        // What failed does not stay ready.
        let ready = self.ready.insert(ready);
        ready.session.write(ready.frame, &frame.rgba);
        let found = ready.session.play();
        let found = found.map_err(DetectError::from).and_then(|outputs| ready.proposals(&outputs));
        if found.is_err() {
            self.ready = None;
        }
        found
    }
}

impl Ready {
    fn proposals(&self, outputs: &[(Slot, Vec<f32>)]) -> Result<Proposals, DetectError> {
        let output = |slot: Slot| outputs.iter().find(|(other, _)| *other == slot).map_or(&[][..], |(_, data)| data);
        let counter = |list: ListId| Counter::at(output(self.counters), list as u32, 1, 0);
        let lists = [ListId::Cells, ListId::LevelNms, ListId::Merged, ListId::Rnet, ListId::RnetNms];
        let lists = lists.into_iter().take_while(|list| *list as u32 <= self.boxes.id as u32).map(counter);
        let last = counter(self.boxes.id);
        let candidates = &Candidate::list(output(self.boxes.candidates))[..last.held as usize];
        let finite = |candidate: &Candidate| candidate.score.is_finite() && candidate.corners.iter().all(|corner| corner.is_finite());
        if last.fault != 0 || !candidates.iter().all(finite) {
            return Err(DetectError::NotANumber);
        }
        // Inclusive corners that count from 1, to edges.
        let edges = |[x1, y1, x2, y2]: [f32; 4]| BoundingBox { x1: x1 - 1.0, y1: y1 - 1.0, x2, y2 };
        Ok(Proposals {
            boxes: candidates.iter().map(|candidate| (edges(candidate.corners), candidate.score)).collect(),
            truncated: lists.into_iter().any(|counter| counter.held < counter.wanted),
        })
    }
}
