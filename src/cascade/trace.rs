//! Trace of one frame: inputs and decisions of every stage of the cascade, for teaching and debugging, not
//! for speed.
//!
//! The detector's own recording is played step by step; nothing is recorded for the trace. Before each `rank`
//! step the complete list that NMS is about to reduce is in memory with its flags, and before each `decode`
//! step so are P-Net's probabilities.

use std::time::{Duration, Instant};

use super::detector::Detector;
use super::found::{DetectError, Detections, Frame, edges};
use super::pyramid::{self, PyramidLevel};
use super::ready::Prepared;
use super::stage::ListId;
use super::{Config, Resampling};
use crate::engine::{OutputView, Session};
use crate::geometry::BoundingBox;
use crate::kernels::image::{Crop, byte};
use crate::kernels::nn::Propose;
use crate::kernels::select::{Candidate, CellBand, Counter, Decode, Rank};
use crate::nets::{ONET, RNET};
use crate::record::{Kernel as _, Slot, Step};

/// Face probabilities of P-Net over one pyramid level.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// Number of level pixels per frame pixel.
    pub scale: f64,
    /// Columns and rows of the level, level pixels.
    pub size: [u32; 2],
    /// Columns and rows of cells. Cell `(x, y)` covers 12 x 12 level pixels from `(2 x, 2 y)`.
    pub cells: [u32; 2],
    /// Face probability of every cell, row by row.
    pub probabilities: Vec<f32>,
}

/// A window that P-Net accepted as a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// Box in `image` space.
    pub bounding_box: BoundingBox,
    /// Face probability according to P-Net.
    pub score: f32,
    /// Index of the pyramid level.
    pub level: usize,
    /// Whether NMS within the level kept it.
    pub kept: bool,
}

/// An input of R-Net or O-Net with the net's output.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Region of the crop in `image` space: a square of whole pixels.
    pub square: BoundingBox,
    /// The region moved by the net's regression: O-Net moves it before NMS, R-Net after.
    pub bounding_box: BoundingBox,
    /// Face probability according to the previous net.
    pub before: f32,
    /// Face probability according to this net.
    pub score: f32,
    /// Whether `score` exceeds the net's threshold.
    pub passed: bool,
    /// Pixels `side x side` of R, G, B, A as the net saw them, black outside the frame.
    pub pixels: Vec<u8>,
}

/// Every stage of the cascade on one frame. If no face fits in the frame, everything except the result is
/// empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// P-Net's probabilities for every level, largest level first.
    pub heat: Vec<HeatMap>,
    /// Cells that reach P-Net's threshold, level by level.
    pub cells: Vec<Proposal>,
    /// R-Net's crops, [`Trace::RNET_SIDE`] pixels a side, best cells first: the candidates after NMS across
    /// levels, moved and squared.
    pub rnet: Vec<Judged>,
    /// O-Net's crops, [`Trace::ONET_SIDE`] pixels a side: the candidates after R-Net and NMS, moved and
    /// squared.
    pub onet: Vec<Judged>,
    /// The result: O-Net's boxes after NMS.
    pub detections: Detections,
    /// Duration of each part. Steps are played one by one, so on a GPU every kernel includes the overhead of
    /// a submission.
    pub times: Vec<(&'static str, Duration)>,
}

/// Names of the parts timed in [`Trace::times`]: NMS begins with its first ranking, a net with its first
/// crop.
const PARTS: [&str; 6] = ["pyramid, P-Net", "NMS, P-Net", "R-Net", "NMS, R-Net", "O-Net", "NMS, O-Net"];

impl Trace {
    /// Side of R-Net's crops, px.
    pub const RNET_SIDE: u32 = RNET.side;
    /// Side of O-Net's crops, px.
    pub const ONET_SIDE: u32 = ONET.side;
}

/// A list as it was before NMS, with a flag for each of its candidates.
struct Flagged {
    candidates: Vec<f32>,
    keep: Vec<f32>,
}

impl Flagged {
    fn list(&self) -> impl Iterator<Item = (&Candidate, bool)> {
        Candidate::list(&self.candidates).iter().zip(self.keep.iter().map(|flag| flag.to_bits() == 1))
    }
}

impl Detector {
    /// Searches `frame` step by step and returns the data of every stage. Takes many times as long as
    /// [`Detector::detect`]. The lists are the engine's; the pixels of the crops are cut on the host.
    ///
    /// # Errors
    ///
    /// As for [`Detector::detect`].
    pub fn trace(&self, frame: &Frame) -> Result<Trace, DetectError> {
        let levels = pyramid::levels(frame.width(), frame.height(), self.config());
        if levels.is_empty() {
            return Ok(Trace::default());
        }
        let mut prepared = self.prepared(frame)?;
        // One untimed run first, so that no stage is charged for compiling its kernels or for first touching
        // its memory.
        prepared.session.play()?;
        let mut heat: Vec<HeatMap> = levels.iter().map(HeatMap::new).collect();
        let (mut ranked, mut crops, mut times, mut part) = (Vec::new(), Vec::new(), PARTS.map(|name| (name, Duration::ZERO)), 0);
        for index in 0..prepared.session.recording().steps().len() {
            let session = &mut prepared.session;
            let step = &session.recording().steps()[index];
            let (name, slots) = (step.kernel.name(), step.slots.clone());
            match name {
                Decode::NAME => fill(&mut heat, session, step)?,
                Rank::NAME => ranked.push(Flagged { candidates: session.peek(slots[0])?, keep: session.peek(slots[1])? }),
                Crop::NAME if !crops.contains(&slots[1]) => crops.push(slots[1]),
                _ => {}
            }
            part += usize::from((name == Rank::NAME && part % 2 == 0) || (name == Crop::NAME && part % 2 == 1));
            let start = Instant::now();
            session.play_step(index)?;
            times[part].1 += start.elapsed();
        }
        // NMS runs within levels, across levels, after R-Net and after O-Net.
        let ([_, cells, rnet, onet], [rnet_crops, onet_crops]) = (&ranked[..], &crops[..]) else {
            unreachable!("the cascade has three nets")
        };
        let shown = Shown { prepared: &prepared, config: self.config(), frame, counters: prepared.session.peek(prepared.result.counters)? };
        let cell = |(c, kept): (&Candidate, bool)| Proposal { bounding_box: edges(c), score: c.score, level: c.tag as usize, kept };
        Ok(Trace {
            heat,
            cells: cells.list().take(shown.held(ListId::Cells)).map(cell).collect(),
            rnet: shown.judged(ListId::Merged, *rnet_crops, rnet, RNET.side)?,
            onet: shown.judged(ListId::RnetNms, *onet_crops, onet, ONET.side)?,
            detections: shown.detections()?,
            times: times.to_vec(),
        })
    }
}

impl HeatMap {
    fn new(level: &PyramidLevel) -> Self {
        let cells = level.cells();
        let probabilities = vec![f32::NAN; cells.area() as usize];
        Self { scale: level.scale, size: [level.extent.w, level.extent.h], cells: [cells.w, cells.h], probabilities }
    }
}

/// Distributes the results of a P-Net pass, which the [`Decode`] kernel of `step` is about to read, to the
/// maps of their levels.
fn fill(heat: &mut [HeatMap], session: &Session, step: &Step) -> Result<(), DetectError> {
    let heads = session.peek(step.slots[0])?;
    let bands: &[CellBand] = session.recording().slots()[step.slots[2].index()].constant().map_or(&[], |data| bytemuck::cast_slice(data));
    let cells = step.kernel.sizes()[0] / Propose::OUTPUTS as usize;
    let ends = bands.iter().skip(1).map(|band| band.cell as usize).chain([cells]);
    for (band, end) in bands.iter().zip(ends) {
        let (map, first, start) = (&mut heat[band.tag as usize], (band.row * band.width) as usize, band.cell as usize);
        map.probabilities[first..][..end - start].copy_from_slice(&heads[start..end]);
    }
    Ok(())
}

/// A session that has been played to its end.
struct Shown<'a> {
    prepared: &'a Prepared,
    config: &'a Config,
    frame: &'a Frame,
    counters: Vec<f32>,
}

impl Shown<'_> {
    fn held(&self, list: ListId) -> usize {
        Counter::at(&self.counters, list as u32, 1, 0).held as usize
    }

    /// Returns the crops of a net, in `slot`, with its verdicts.
    fn judged(&self, list: ListId, slot: Slot, verdicts: &Flagged, side: u32) -> Result<Vec<Judged>, DetectError> {
        let crops = self.prepared.session.peek(slot)?;
        let cut = self.cut(list, &crops, side);
        let judge = |((crop, (verdict, passed)), pixels): ((&Candidate, (&Candidate, bool)), Vec<u8>)| Judged {
            square: edges(crop),
            bounding_box: edges(verdict),
            before: crop.score,
            score: verdict.score,
            passed,
            pixels,
        };
        Ok(Candidate::list(&crops).iter().zip(verdicts.list()).zip(cut).map(judge).collect())
    }

    /// Returns the first crops of `candidates`, as many as `list` holds, as R, G, B, A bytes.
    fn cut(&self, list: ListId, candidates: &[f32], side: u32) -> Vec<Vec<u8>> {
        let (n, plane) = (self.held(list), (side * side) as usize);
        let capacity = Candidate::list(candidates).len() as u32;
        let bilinear = self.config.resampling == Resampling::Bilinear;
        let kernel = Crop::new([1, capacity, list as u32], [self.frame.width(), self.frame.height()], [0, n as u32], side, bilinear);
        let mut crops = vec![f32::NAN; n * 3 * plane];
        if n > 0 {
            let packed: Vec<f32> = bytemuck::pod_collect_to_vec(self.frame.rgba());
            kernel.native(n as u32, &[&packed, candidates, &self.counters], &mut [&mut crops]);
        }
        let rgba = |crop: &[f32]| (0..plane).flat_map(|i| [byte(crop[i]), byte(crop[plane + i]), byte(crop[2 * plane + i]), 255]).collect();
        crops.chunks_exact(3 * plane).map(rgba).collect()
    }

    fn detections(&self) -> Result<Detections, DetectError> {
        let Prepared { session, result, .. } = self.prepared;
        let outputs = vec![(result.last, session.peek(result.last)?), (result.counters, self.counters.clone())];
        Ok(result.found(&OutputView::from(&outputs))?.pop().unwrap_or_default())
    }
}
