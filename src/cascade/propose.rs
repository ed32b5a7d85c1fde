//! The shortened cascade: the inputs of R-Net or O-Net, on which they are trained (spec section 4.5).

use super::Config;
use super::found::{DetectError, Frame, edges};
use super::plan::{Depth, Frames};
use super::ready::Ready;
use super::result::Remaining;
use crate::engine::{Engine, OutputView};
use crate::geometry::BoundingBox;
use crate::kernels::select::Candidate;
use crate::weights::Weights;

/// Candidates that the nets so far have accepted, as the next net would see them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Proposals {
    /// Squares of whole pixels with the face probability according to the last net, best first; a square may
    /// reach outside the frame.
    pub boxes: Vec<(BoundingBox, f32)>,
    /// Whether a stage had more candidates than [`crate::Capacity`] allows, so that some are missing.
    pub truncated: bool,
}

/// Finds the inputs of the next net after a shortened cascade.
///
/// Buffers and kernels are kept, as in a [`super::Detector`]; frames of one size are best searched one after
/// another.
pub struct Proposer {
    ready: Ready,
}

impl Proposer {
    /// Creates a proposer on `engine` with the weights of the nets up to `depth`. The thresholds of later
    /// nets in `config` have no effect.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights are missing or
    /// do not fit.
    pub fn new(engine: Engine, weights: &Weights, config: Config, depth: Depth) -> Result<Self, DetectError> {
        Ok(Self { ready: Ready::new(engine, weights, config, Some(depth), 1)? })
    }

    /// Returns the columns and rows of the frames whose recording is loaded, if any.
    pub fn size(&self) -> Option<[u32; 2]> {
        self.ready.latest().map(|frames| frames.size)
    }

    /// Searches `frame`; a frame smaller than the smallest face yields no proposals.
    ///
    /// # Errors
    ///
    /// As for [`super::Detector::detect`].
    pub fn propose(&mut self, frame: &Frame) -> Result<Proposals, DetectError> {
        let levels = self.ready.levels(frame);
        if levels.is_empty() {
            return Ok(Proposals::default());
        }
        let prepared = self.ready.get_or_prepare(Frames { images: 1, size: [frame.width, frame.height] }, &levels)?;
        prepared.session.write(prepared.pixels, &frame.rgba);
        match prepared.session.play() {
            Ok(outputs) => prepared
                .result
                .left(&OutputView::from(&outputs))
                .next()
                .map_or_else(|| Ok(Proposals::default()), |left| left.map(|left| proposals(&left))),
            Err(error) => {
                self.ready.clear();
                Err(error.into())
            }
        }
    }
}

fn proposals(left: &Remaining<'_>) -> Proposals {
    let boxes = Candidate::list(left.words).iter().map(|candidate| (edges(candidate), candidate.score)).collect();
    Proposals { boxes, truncated: left.truncated }
}
