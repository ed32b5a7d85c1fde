//! The cascade cut short: what R-Net or O-Net would be shown, which is what they are trained on (spec section 4.5).

use super::Config;
use super::found::{DetectError, Frame, edges};
use super::plan::{Depth, Frames};
use super::ready::{Ready, Remaining};
use crate::engine::Engine;
use crate::geometry::BoundingBox;
use crate::kernels::select::Candidate;
use crate::weights::Weights;

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
    ready: Ready,
}

impl Proposer {
    /// On `engine`, with the weights of the nets up to `depth`; of `config`, thresholds of later nets are of no meaning.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights are missing or do not fit.
    pub fn new(engine: Engine, weights: &Weights, config: Config, depth: Depth) -> Result<Self, DetectError> {
        Ok(Self { ready: Ready::new(engine, weights, config, Some(depth), 1)? })
    }

    /// Columns and rows of the frames that it is ready for.
    pub fn size(&self) -> Option<[u32; 2]> {
        self.ready.latest().map(|frames| frames.size)
    }

    /// Searches `frame`; one smaller than the smallest face has nothing.
    ///
    /// # Errors
    ///
    /// As [`super::Detector::detect`].
    pub fn propose(&mut self, frame: &Frame) -> Result<Proposals, DetectError> {
        let levels = self.ready.levels(frame);
        if levels.is_empty() {
            return Ok(Proposals::default());
        }
        let prepared = self.ready.get_or_prepare(Frames { images: 1, size: [frame.width, frame.height] }, &levels)?;
        prepared.session.write(prepared.pixels, &frame.rgba);
        match prepared.session.play() {
            Ok(outputs) => {
                prepared.left(&outputs).next().map_or_else(|| Ok(Proposals::default()), |left| left.map(|left| proposals(&left)))
            }
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
