//! What every stage of the cascade saw and decided on one frame: for teaching and for finding faults, not for speed.

use std::time::{Duration, Instant};

use super::pyramid;
use super::stage::{Heads, List};
use super::{DetectError, Detections, Detector, Frame, Resampling};
use crate::cascade::plan::{Budget, Lists, Plan};
use crate::engine::{Engine, EngineError, Session};
use crate::geometry::BoundingBox;
use crate::kernels::image::Crop;
use crate::kernels::select::{Candidate, Counter, face_probability};
use crate::nets::{ONET, RNET};
use crate::record::{Access, Kernel as _, Recording, Step};

/// The probabilities of P-Net over one pyramid level.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Level pixels per frame pixel.
    pub scale: f64,
    /// Columns and rows of the level, level pixels.
    pub size: [u32; 2],
    /// Columns and rows of cells. Cell `(x, y)` looks at 12 x 12 level pixels from `(2 x, 2 y)`.
    pub cells: [u32; 2],
    /// Face probability of every cell, row by row.
    pub probabilities: Vec<f32>,
}

/// A box on its way through the cascade.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// In `image` space.
    pub bounding_box: BoundingBox,
    /// Face probability by the last net that looked.
    pub score: f32,
    /// Pyramid level that a cell of P-Net belongs to; only up to the NMS across levels.
    pub level: Option<usize>,
}

/// What R- or O-Net was shown, and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// The square that was cut out, with the net's score.
    pub proposal: Proposal,
    /// Whether the score exceeds the net's threshold.
    pub passed: bool,
    /// `side x side` pixels of R, G, B, A as the net saw them, black outside the frame.
    pub pixels: Vec<u8>,
}

/// Every stage of the cascade on one frame, in order; lists are best first unless said otherwise.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// P-Net over every level, largest level first.
    pub heat: Vec<HeatMap>,
    /// Cells over P-Net's threshold, level by level.
    pub cells: Vec<Proposal>,
    /// After NMS inside each level.
    pub level_nms: Vec<Proposal>,
    /// After NMS across levels.
    pub merged: Vec<Proposal>,
    /// R-Net's crops, [`Trace::RNET_SIDE`] a side.
    pub rnet: Vec<Judged>,
    /// Over R-Net's threshold, before NMS.
    pub rnet_passed: Vec<Proposal>,
    /// After NMS.
    pub rnet_nms: Vec<Proposal>,
    /// O-Net's crops, [`Trace::ONET_SIDE`] a side.
    pub onet: Vec<Judged>,
    /// Over O-Net's threshold, regressed, before NMS.
    pub onet_passed: Vec<Proposal>,
    /// The result.
    pub detections: Detections,
    /// How long each part took, step by step: on a GPU with the overhead of a submission for every kernel.
    pub times: Vec<(&'static str, Duration)>,
}

impl Trace {
    /// Side of R-Net's crops, px.
    pub const RNET_SIDE: u32 = RNET.side;
    /// Side of O-Net's crops, px.
    pub const ONET_SIDE: u32 = ONET.side;
}

impl Detector {
    /// Searches `frame` step by step and keeps what every stage saw. Takes many times as long as [`Detector::detect`]; the lists are those
    /// of the engine, the crops' pixels are cut on the host. A frame that no face fits in has an empty trace.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`].
    pub fn trace(&mut self, frame: &Frame) -> Result<Trace, DetectError> {
        let detections = self.detect(frame)?;
        let levels = pyramid::levels(frame.width(), frame.height(), self.config());
        if levels.is_empty() {
            return Ok(Trace::empty(detections));
        }
        match self.trace_on(&self.engine().clone(), frame, &levels, &detections) {
            Err(DetectError::Engine(EngineError::TooLarge { .. } | EngineError::OutOfMemory { .. })) => {
                self.trace_on(&Engine::cpu(), frame, &levels, &detections)
            }
            other => other,
        }
    }

    fn trace_on(&self, engine: &Engine, frame: &Frame, levels: &[pyramid::Level], detections: &Detections) -> Result<Trace, DetectError> {
        let size = [frame.width(), frame.height()];
        let budget = if engine.gpu().is_some() { Budget::GPU } else { Budget::CPU };
        let plan = Plan::new(size, levels, self.weights(), self.config(), budget)?;
        let lists = plan.lists;
        let mut session = engine.load(plan.recording)?;
        session.write(plan.frame, frame.rgba());
        let mut heat: Vec<HeatMap> = levels.iter().map(HeatMap::new).collect();
        let (passes, _) = pyramid::passes(levels, size[0], budget.elements);
        let mut times = Vec::new();
        for step in 0..session.recording().steps().len() {
            let start = Instant::now();
            session.play_step(step)?;
            times.push(start.elapsed());
            // A slot that a later pass overwrites is read while it is fresh.
            for (pass, _) in plan.heads.iter().enumerate().filter(|(_, heads)| heads.ready == step) {
                fill(&mut heat, &passes[pass], &session.peek(plan.heads[pass].slot)?);
            }
        }
        let read = |list: List| read_list(&session, list);
        let boxes = |list: List, tagged: bool| Ok::<_, DetectError>(read(list)?.iter().map(|c| proposal(c, tagged)).collect());
        let judged = |list: List, side: u32, threshold: f32| {
            let scored = read(list)?;
            let bilinear = self.config().resampling == Resampling::Bilinear;
            let pixels = cut(frame, &scored, side, bilinear);
            let judge = |(candidate, pixels): (&Candidate, Vec<u8>)| Judged {
                proposal: proposal(candidate, false),
                passed: candidate.score > threshold,
                pixels,
            };
            Ok::<_, DetectError>(scored.iter().zip(pixels).map(judge).collect())
        };
        let [_, rnet_threshold, onet_threshold] = self.config().thresholds;
        Ok(Trace {
            heat,
            cells: boxes(lists.cells, true)?,
            level_nms: boxes(lists.level_nms, true)?,
            merged: boxes(lists.merged, false)?,
            rnet: judged(lists.rnet, RNET.side, rnet_threshold)?,
            rnet_passed: boxes(lists.rnet_passed, false)?,
            rnet_nms: boxes(lists.rnet_nms, false)?,
            onet: judged(lists.onet, ONET.side, onet_threshold)?,
            onet_passed: boxes(lists.onet_passed, false)?,
            detections: detections.clone(),
            times: parts(session.recording(), &lists, &plan.heads, &times),
        })
    }
}

impl Trace {
    fn empty(detections: Detections) -> Self {
        Self {
            heat: Vec::new(),
            cells: Vec::new(),
            level_nms: Vec::new(),
            merged: Vec::new(),
            rnet: Vec::new(),
            rnet_passed: Vec::new(),
            rnet_nms: Vec::new(),
            onet: Vec::new(),
            onet_passed: Vec::new(),
            detections,
            times: Vec::new(),
        }
    }
}

impl HeatMap {
    fn new(level: &pyramid::Level) -> Self {
        let cells = level.cells();
        let probabilities = vec![f32::NAN; cells.area() as usize];
        Self { scale: level.scale, size: [level.extent.w, level.extent.h], cells: [cells.w, cells.h], probabilities }
    }
}

/// The steps' times summed by part of the cascade; a part ends with the step that writes its list.
fn parts(recording: &Recording, lists: &Lists, heads: &[Heads], times: &[Duration]) -> Vec<(&'static str, Duration)> {
    let written = |list: List| {
        let writes = |step: &Step| step.bound().any(|(slot, binding)| slot == list.candidates && binding.access != Access::Read);
        recording.steps().iter().rposition(writes).map_or(0, |step| step + 1)
    };
    let pnet = heads.iter().map(|heads| heads.ready + 1).max().unwrap_or(0);
    let ends = [
        ("pyramid, P-Net", pnet),
        ("candidates, NMS", written(lists.merged)),
        ("R-Net", written(lists.rnet)),
        ("NMS", written(lists.rnet_nms)),
        ("O-Net", written(lists.onet)),
        ("faces, NMS", times.len()),
    ];
    let mut start = 0;
    ends.map(|(name, end)| {
        let end = end.clamp(start, times.len());
        let sum = times[std::mem::replace(&mut start, end)..end].iter().sum();
        (name, sum)
    })
    .to_vec()
}

/// Sorts P-Net's outputs `[6, cells]` of one pass into the levels' maps.
fn fill(heat: &mut [HeatMap], pass: &pyramid::Pass, heads: &[f32]) {
    let count = pass.cell_count as usize;
    let ends = pass.cells.iter().skip(1).map(|band| band.cell as usize).chain([count]);
    for (band, end) in pass.cells.iter().zip(ends) {
        let map = &mut heat[band.tag as usize];
        let first = (band.row * band.width) as usize;
        for (place, i) in (first..).zip(band.cell as usize..end) {
            map.probabilities[place] = face_probability(heads[i], heads[count + i]);
        }
    }
}

fn read_list(session: &Session, list: List) -> Result<Vec<Candidate>, DetectError> {
    let held = Counter::read(&session.peek(list.count)?).held.min(list.capacity);
    Ok(Candidate::list(&session.peek(list.candidates)?)[..held as usize].to_vec())
}

/// From the cascade's 1-based inclusive corners to pixel edges (spec section 3.1).
fn proposal(candidate: &Candidate, tagged: bool) -> Proposal {
    let [x1, y1, x2, y2] = candidate.corners;
    let bounding_box = BoundingBox { x1: x1 - 1.0, y1: y1 - 1.0, x2, y2 };
    Proposal { bounding_box, score: candidate.score, level: tagged.then_some(candidate.tag as usize) }
}

/// The crops as R, G, B, A bytes.
fn cut(frame: &Frame, candidates: &[Candidate], side: u32, bilinear: bool) -> Vec<Vec<u8>> {
    let (n, plane) = (candidates.len(), (side * side) as usize);
    if n == 0 {
        return Vec::new();
    }
    let packed: Vec<f32> = bytemuck::pod_collect_to_vec(frame.rgba());
    let mut crops = vec![f32::NAN; n * 3 * plane];
    let kernel = Crop::new([frame.width(), frame.height()], 0, n as u32, side, bilinear, false);
    kernel.native(n as u32, &[&packed, bytemuck::cast_slice(candidates)], &mut [&mut crops]);
    // The nets see (v - 127.5) / 128.
    let byte = |x: f32| (x * 128.0 + 127.5).round() as u8;
    let rgba = |crop: &[f32]| (0..plane).flat_map(|i| [byte(crop[i]), byte(crop[plane + i]), byte(crop[2 * plane + i]), 255]).collect();
    crops.chunks_exact(3 * plane).map(rgba).collect()
}
