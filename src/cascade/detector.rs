//! [`Detector`]: a frame in, faces out.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::Config;
use super::found::{DetectError, Detections, Frame, StageCounts, Ticket, face};
use super::plan::{Frames, Plan};
use super::pyramid::{self, PyramidLevel};
use super::ready::{Prepared, Ready, Remaining};
use crate::engine::gpu::GpuFrame;
use crate::engine::{Engine, EngineError, Flight, Outputs, Session};
use crate::kernels::select::Faces;
use crate::record::{DeviceFacts, Recording};
use crate::weights::Weights;

/// A submitted frame.
struct Pending {
    /// Gone when nobody will ask.
    ticket: Weak<()>,
    state: PendingState,
}

enum PendingState {
    /// Being searched by the session for `frames`.
    Flying { frames: Frames, flight: Flight },
    /// Searched.
    Landed(Result<Vec<Detections>, DetectError>),
}

/// Finds faces in frames.
///
/// Buffers are kept from frame to frame and kernels are compiled once per engine. Frames may differ in size: the last few sizes stay ready.
pub struct Detector {
    ready: Ready,
    /// Oldest first.
    pending: VecDeque<Pending>,
}

/// Frame sizes that stay ready.
const READY: usize = 2;

impl Detector {
    /// Frames under way at most.
    pub const IN_FLIGHT: usize = 3;
    /// Frames that [`Detector::detect_batch`] searches together on a GPU.
    pub const TOGETHER: usize = 8;

    /// A detector that runs on `engine` with `weights`.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit the nets.
    pub fn new(engine: Engine, weights: &Weights, config: Config) -> Result<Self, DetectError> {
        Ok(Self { ready: Ready::new(engine, weights, config, None, READY)?, pending: VecDeque::new() })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        self.ready.config()
    }

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        self.ready.engine()
    }

    /// Finds faces in `frame`, best first, at most [`Config::max_faces`].
    ///
    /// Boxes and landmarks are in `image` space: pixels, origin at the top-left *corner* of the top-left pixel, y down; they may reach
    /// outside the frame. Scores are in `(0, 1]`. On a GPU this is one submission and one read-back; it blocks until that lands. A frame
    /// smaller than the smallest face has none.
    ///
    /// # Errors
    ///
    /// [`DetectError::Engine`] if the device fails (a frame that it cannot hold is searched on the CPU instead), [`DetectError::NotANumber`] if a net produces NaN. More
    /// candidates than a stage can hold is not an error: see [`Detections::truncated`].
    pub fn detect(&mut self, frame: &Frame) -> Result<Detections, DetectError> {
        let ticket = self.submit(frame)?;
        self.collect(ticket)
    }

    /// Starts the search of `frame` and returns at once if fewer than [`Detector::IN_FLIGHT`] frames are under way, else when the oldest is
    /// done: a GPU searches one frame while the next is uploaded. The CPU engine searches at once. Frames may differ in size.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; what goes wrong later is told by [`Detector::collect`].
    pub fn submit(&mut self, frame: &Frame) -> Result<Ticket, DetectError> {
        self.submit_all(std::slice::from_ref(frame), None)
    }

    /// As [`Detector::submit`] for a frame that is on the device already: an engine on that device reads `uploaded` itself, any other `frame`.
    /// Until the ticket is collected `uploaded` may be read, but not written.
    ///
    /// # Errors
    ///
    /// As [`Detector::submit`].
    pub fn submit_uploaded(&mut self, frame: &Frame, uploaded: &GpuFrame) -> Result<Ticket, DetectError> {
        self.submit_all(std::slice::from_ref(frame), Some(uploaded).filter(|uploaded| uploaded.size() == [frame.width, frame.height]))
    }

    /// Waits for a frame that was submitted and returns what was found, as [`Detector::detect`] would.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; [`DetectError::ForeignTicket`] for one of another detector.
    pub fn collect(&mut self, ticket: Ticket) -> Result<Detections, DetectError> {
        self.collect_all(ticket).and_then(|mut found| found.pop().ok_or(DetectError::ForeignTicket))
    }

    /// Frames of one size, searched together; `uploaded` is the same as a single one of them.
    fn submit_all(&mut self, frames: &[Frame], uploaded: Option<&GpuFrame>) -> Result<Ticket, DetectError> {
        let ticket = Ticket(Arc::new(()));
        self.pending.retain(|pending| matches!(pending.state, PendingState::Flying { .. }) || pending.ticket.strong_count() > 0);
        let levels = frames.first().map_or_else(Vec::new, |frame| self.ready.levels(frame));
        let state = match &levels[..] {
            [] => PendingState::Landed(Ok(vec![Detections::default(); frames.len()])),
            levels => self.start(frames, uploaded, levels)?,
        };
        self.pending.push_back(Pending { ticket: Arc::downgrade(&ticket.0), state });
        Ok(ticket)
    }

    fn collect_all(&mut self, ticket: Ticket) -> Result<Vec<Detections>, DetectError> {
        let Ticket(mark) = ticket;
        let mine = |pending: &Pending| std::ptr::eq(pending.ticket.as_ptr(), Arc::as_ptr(&mark));
        let index = self.pending.iter().position(mine).ok_or(DetectError::ForeignTicket)?;
        self.land(index);
        match self.pending.remove(index).map(|pending| pending.state) {
            Some(PendingState::Landed(result)) => result,
            _ => Err(DetectError::ForeignTicket),
        }
    }

    /// Searches `frames` one after another, [`Detector::IN_FLIGHT`] of them under way at a time; results come in order.
    pub fn detect_stream<I>(&mut self, frames: I) -> impl Iterator<Item = Result<Detections, DetectError>>
    where
        I: IntoIterator<Item: Borrow<Frame>>,
    {
        let (mut frames, mut under_way) = (frames.into_iter(), VecDeque::new());
        std::iter::from_fn(move || {
            while under_way.len() < Self::IN_FLIGHT
                && let Some(frame) = frames.next()
            {
                under_way.push_back(self.submit(frame.borrow()));
            }
            under_way.pop_front().map(|submitted| submitted.and_then(|ticket| self.collect(ticket)))
        })
    }

    /// Searches `frames` and returns what was found in their order, equal to what [`Detector::detect`] finds in each. On a GPU neighbours of
    /// one size are searched together, [`Detector::TOGETHER`] at a time: small frames alone cannot keep a large GPU busy.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`], for the first frame that cannot be searched.
    pub fn detect_batch(&mut self, frames: &[Frame]) -> Result<Vec<Detections>, DetectError> {
        let together = if self.engine().gpu().is_some() { Self::TOGETHER } else { 1 };
        let same = frames.chunk_by(|a, b| (a.width, a.height) == (b.width, b.height));
        // Of what does not fill a batch each frame goes alone: a recording for every number would have to be made and kept.
        let parts = same.flat_map(|same| {
            let (whole, rest) = same.split_at(same.len() / together * together);
            whole.chunks(together).chain(rest.chunks(1))
        });
        let (mut found, mut under_way) = (Vec::with_capacity(frames.len()), VecDeque::new());
        for part in parts {
            if under_way.len() >= Self::IN_FLIGHT
                && let Some(ticket) = under_way.pop_front()
            {
                found.extend(self.collect_all(ticket)?);
            }
            under_way.push_back(self.submit_all(part, None)?);
        }
        for ticket in under_way {
            found.extend(self.collect_all(ticket)?);
        }
        Ok(found)
    }

    fn start(&mut self, frames: &[Frame], uploaded: Option<&GpuFrame>, levels: &[PyramidLevel]) -> Result<PendingState, DetectError> {
        let flying = |pending: &Pending| matches!(pending.state, PendingState::Flying { .. });
        if self.pending.iter().filter(|pending| flying(pending)).count() >= Self::IN_FLIGHT
            && let Some(oldest) = self.pending.iter().position(flying)
        {
            self.land(oldest);
        }
        let key = Frames { images: frames.len() as u32, size: [frames[0].width, frames[0].height] };
        if self.ready.is_full_for(key) {
            (0..self.pending.len()).for_each(|index| self.land(index));
        }
        let prepared = self.ready.get_or_prepare(key, levels)?;
        match frames {
            _ if uploaded.map_or(Ok(false), |uploaded| prepared.session.lend(prepared.pixels, uploaded))? => {}
            [frame] => prepared.session.write(prepared.pixels, &frame.rgba),
            frames => prepared.session.write(prepared.pixels, &frames.iter().flat_map(|frame| &frame.rgba).copied().collect::<Vec<_>>()),
        }
        match prepared.session.submit() {
            Ok(flight) => Ok(PendingState::Flying { frames: key, flight }),
            Err(error) => {
                (0..self.pending.len()).for_each(|index| self.land(index));
                self.ready.clear();
                Err(error.into())
            }
        }
    }

    /// Waits for the pending frame at `index`, if it is under way. After a failure nothing stays ready: the next frame starts afresh.
    fn land(&mut self, index: usize) {
        let pending = &mut self.pending[index];
        let PendingState::Flying { frames, .. } = pending.state else { return };
        let lost = PendingState::Landed(Err(EngineError::Lost { message: "an earlier frame failed".to_owned() }.into()));
        let PendingState::Flying { flight, .. } = std::mem::replace(&mut pending.state, lost) else { return };
        let Some(prepared) = self.ready.get_mut(frames) else { return };
        let result = match prepared.session.collect(flight) {
            Ok(outputs) => found(prepared, &outputs),
            Err(error) => Err(error.into()),
        };
        if matches!(result, Err(DetectError::Engine(_))) {
            self.ready.clear();
        }
        self.pending[index].state = PendingState::Landed(result);
    }

    /// Records and loads the cascade for frames of `size`, without playing it: for `doctor`.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; [`DetectError::FrameTooSmall`] for a frame that no face fits in.
    pub fn session(&self, frame: &Frame) -> Result<Session, DetectError> {
        Ok(self.prepared(frame)?.session)
    }

    /// The cascade with `frame` in it, apart from what is kept ready.
    pub(super) fn prepared(&self, frame: &Frame) -> Result<Prepared, DetectError> {
        let frames = Frames { images: 1, size: [frame.width, frame.height] };
        let mut prepared = self.ready.prepare(frames, &self.ready.levels(frame))?;
        prepared.session.write(prepared.pixels, &frame.rgba);
        Ok(prepared)
    }
}

/// What was found in each image, from what a play of `prepared` gave.
pub(super) fn found(prepared: &Prepared, outputs: &Outputs) -> Result<Vec<Detections>, DetectError> {
    let detections = |left: Remaining<'_>| {
        let [cells, level_nms, merged, rnet, rnet_nms, onet] = left.lists.map(|counter| counter.wanted);
        Detections {
            faces: left.words.chunks_exact(Faces::WORDS).map(face).collect(),
            truncated: left.truncated,
            counts: StageCounts { cells, level_nms, merged, rnet, rnet_nms, onet, faces: left.held },
        }
    };
    prepared.left(outputs).map(|left| left.map(detections)).collect()
}

/// The recording that a [`Detector`] plays on `device` for `images` frames of `size` (columns and rows, px) at once: for tests and tools that
/// look at it without a device.
///
/// # Errors
///
/// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit.
pub fn recording(images: u32, size: [u32; 2], weights: &Weights, config: &Config, device: DeviceFacts) -> Result<Recording, DetectError> {
    config.validate()?;
    let levels = pyramid::levels(size[0], size[1], config);
    Ok(Plan::new(Frames { images, size }, &levels, weights, config, device, None)?.recording)
}
