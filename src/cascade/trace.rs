//! What every stage of the cascade saw and decided on one frame: for teaching and for finding faults, not for speed.
//!
//! The detector's own recording is played step by step. Nothing is recorded for the trace: before each `rank` the list that NMS is about to
//! thin out lies whole beside its flags, and before each `decode` so do P-Net's probabilities.

use std::time::{Duration, Instant};

use super::detector::{Detector, found};
use super::found::{DetectError, Detections, Frame, edges};
use super::pyramid::{self, PyramidLevel};
use super::ready::Prepared;
use super::stage::ListId;
use super::{Config, Resampling};
use crate::engine::Session;
use crate::geometry::BoundingBox;
use crate::kernels::image::{Crop, byte};
use crate::kernels::nn::Propose;
use crate::kernels::select::{Candidate, CellBand, Counter, Decode, Rank};
use crate::nets::{ONET, RNET};
use crate::record::{Kernel as _, Slot, Step};

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

/// A window that P-Net took for a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Proposal {
    /// In `image` space.
    pub bounding_box: BoundingBox,
    /// Face probability by P-Net.
    pub score: f32,
    /// Pyramid level.
    pub level: usize,
    /// Whether NMS inside the level left it.
    pub kept: bool,
}

/// What R- or O-Net was shown, and what it said.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What was cut out, in `image` space: a square of whole pixels.
    pub square: BoundingBox,
    /// The same after what the net said: O-Net moves it before NMS, R-Net after.
    pub bounding_box: BoundingBox,
    /// Face probability by the net before.
    pub before: f32,
    /// Face probability by this net.
    pub score: f32,
    /// Whether that exceeds the net's threshold.
    pub passed: bool,
    /// `side x side` pixels of R, G, B, A as the net saw them, black outside the frame.
    pub pixels: Vec<u8>,
}

/// Every stage of the cascade on one frame. Empty but for the result if no face fits in the frame.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// P-Net over every level, largest level first.
    pub heat: Vec<HeatMap>,
    /// Cells that reach P-Net's threshold, level by level.
    pub cells: Vec<Proposal>,
    /// R-Net's crops, [`Trace::RNET_SIDE`] a side, best cells first: what is left after NMS across levels, moved and squared.
    pub rnet: Vec<Judged>,
    /// O-Net's crops, [`Trace::ONET_SIDE`] a side: what is left after R-Net and NMS, moved and squared.
    pub onet: Vec<Judged>,
    /// The result: O-Net's boxes after NMS.
    pub detections: Detections,
    /// How long each part took. Step by step: on a GPU with the overhead of a submission for every kernel.
    pub times: Vec<(&'static str, Duration)>,
}

/// The parts that [`Trace::times`] tells: NMS begins with its first ranking, a net with its first crop.
const PARTS: [&str; 6] = ["pyramid, P-Net", "NMS, P-Net", "R-Net", "NMS, R-Net", "O-Net", "NMS, O-Net"];

impl Trace {
    /// Side of R-Net's crops, px.
    pub const RNET_SIDE: u32 = RNET.side;
    /// Side of O-Net's crops, px.
    pub const ONET_SIDE: u32 = ONET.side;
}

/// A list with a flag for each of its candidates, as it was before NMS.
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
    /// Searches `frame` step by step and keeps what every stage saw. Takes many times as long as [`Detector::detect`]; the lists are those
    /// of the engine, the crops' pixels are cut on the host.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`].
    pub fn trace(&self, frame: &Frame) -> Result<Trace, DetectError> {
        let levels = pyramid::levels(frame.width(), frame.height(), self.config());
        if levels.is_empty() {
            return Ok(Trace::default());
        }
        let mut prepared = self.prepared(frame)?;
        // Once through before the clock runs: no stage is to pay for compiling its kernels, or for memory that nobody has touched yet.
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
        // NMS runs inside levels, across them, after R-Net and after O-Net.
        let ([_, cells, rnet, onet], [rnet_crops, onet_crops]) = (&ranked[..], &crops[..]) else {
            unreachable!("the cascade has three nets")
        };
        let shown = Shown { prepared: &prepared, config: self.config(), frame, counters: prepared.session.peek(prepared.counters)? };
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

/// Sorts what a pass of P-Net gave, which the `step` of [`Decode`] is about to read, into the levels' maps.
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

/// What was played to its end.
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

    /// The crops of a net, in `slot`, with its verdicts.
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

    /// The first crops of `candidates`, as many as `list` holds, as R, G, B, A bytes.
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
        let Prepared { session, last, counters, .. } = self.prepared;
        let mut found = found(self.prepared, &vec![(*last, session.peek(*last)?), (*counters, self.counters.clone())])?;
        Ok(found.pop().unwrap_or_default())
    }
}
