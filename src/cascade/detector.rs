//! [`Detector`]: finds the faces in a frame.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::Config;
use super::found::{DetectError, Detections, Frame, Ticket};
use super::plan::{Frames, Plan};
use super::pyramid::{self, PyramidLevel};
use super::ready::{Prepared, Ready};
use crate::engine::gpu::GpuFrame;
use crate::engine::{Engine, EngineError, Flight, Session};
use crate::record::{DeviceFacts, Recording};
use crate::weights::Weights;

/// A submitted batch of frames.
struct Pending {
    /// Dead once the caller has dropped the ticket.
    ticket: Weak<()>,
    state: PendingState,
}

enum PendingState {
    /// The session for `frames` is still searching.
    Flying { frames: Frames, flight: Flight },
    /// The search is finished; `None` if the frames are too crowded to be searched together.
    Landed(Result<Option<Vec<Detections>>, DetectError>),
}

/// Finds faces in frames.
///
/// Buffers are kept from frame to frame and kernels are compiled once per engine. Frames may differ in size:
/// recordings for the last few sizes stay loaded.
pub struct Detector {
    ready: Ready,
    /// Submitted frames, oldest first.
    pending: VecDeque<Pending>,
}

/// Number of frame sizes whose recordings stay loaded.
const READY: usize = 2;

impl Detector {
    /// Largest number of recordings in flight.
    pub const IN_FLIGHT: usize = 3;
    /// Number of frames that a GPU searches together.
    pub const TOGETHER: usize = 8;

    /// Creates a detector that runs on `engine` with `weights`.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit the
    /// nets.
    pub fn new(engine: Engine, weights: &Weights, config: Config) -> Result<Self, DetectError> {
        Ok(Self { ready: Ready::new(engine, weights, config, None, READY)?, pending: VecDeque::new() })
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        self.ready.config()
    }

    /// Returns the engine that the detector runs on.
    pub fn engine(&self) -> &Engine {
        self.ready.engine()
    }

    /// Finds the faces in `frame`; returns at most [`Config::max_faces`], best first.
    ///
    /// Boxes and landmarks are in `image` space: pixels, origin at the top-left *corner* of the top-left
    /// pixel, y down; they may reach outside the frame. Scores are in `(0, 1]`. On a GPU the search is one
    /// submission and one read-back, and the call blocks until the results have been read back. A frame
    /// smaller than the smallest face yields no faces.
    ///
    /// # Errors
    ///
    /// [`DetectError::Engine`] if the device fails (a frame that does not fit the device is searched on the
    /// CPU instead), [`DetectError::NotANumber`] if a net produces NaN. More candidates than a stage can hold
    /// are not an error: see [`Detections::truncated`].
    pub fn detect(&mut self, frame: &Frame) -> Result<Detections, DetectError> {
        let ticket = self.submit(frame)?;
        self.collect(ticket)
    }

    /// Starts the search of `frame`. Returns at once if fewer than [`Detector::IN_FLIGHT`] frames are in
    /// flight, otherwise when the oldest is done: a GPU searches one frame while the next is uploaded. The
    /// CPU engine completes the search within the call. Frames may differ in size.
    ///
    /// # Errors
    ///
    /// As for [`Detector::detect`]; errors that occur later are returned by [`Detector::collect`].
    pub fn submit(&mut self, frame: &Frame) -> Result<Ticket, DetectError> {
        self.submit_all(std::slice::from_ref(frame), None)
    }

    /// Starts the search of a frame that is on the device already, as [`Detector::submit`] does. An engine on
    /// that device reads `uploaded` directly, any other engine reads `frame`. Until the ticket is collected,
    /// `uploaded` may be read but must not be written.
    ///
    /// # Errors
    ///
    /// As for [`Detector::submit`].
    pub fn submit_uploaded(&mut self, frame: &Frame, uploaded: &GpuFrame) -> Result<Ticket, DetectError> {
        self.submit_all(std::slice::from_ref(frame), Some(uploaded).filter(|uploaded| uploaded.size() == [frame.width, frame.height]))
    }

    /// Waits for a submitted frame and returns the same detections as [`Detector::detect`].
    ///
    /// # Errors
    ///
    /// As for [`Detector::detect`]; [`DetectError::ForeignTicket`] if another detector issued the ticket.
    pub fn collect(&mut self, ticket: Ticket) -> Result<Detections, DetectError> {
        self.collect_all(ticket).and_then(|found| found.and_then(|mut found| found.pop()).ok_or(DetectError::ForeignTicket))
    }

    /// Starts the search of frames of one size as one recording; `uploaded` is the single frame of `frames`,
    /// on the device.
    pub(super) fn submit_all(&mut self, frames: &[impl Borrow<Frame>], uploaded: Option<&GpuFrame>) -> Result<Ticket, DetectError> {
        let ticket = Ticket(Arc::new(()));
        self.pending.retain(|pending| matches!(pending.state, PendingState::Flying { .. }) || pending.ticket.strong_count() > 0);
        let levels = frames.first().map_or_else(Vec::new, |frame| self.ready.levels(frame.borrow()));
        let state = match &levels[..] {
            [] => PendingState::Landed(Ok(Some(vec![Detections::default(); frames.len()]))),
            levels => self.start(frames, uploaded, levels)?,
        };
        self.pending.push_back(Pending { ticket: Arc::downgrade(&ticket.0), state });
        Ok(ticket)
    }

    /// Waits for frames that were submitted together; returns `None` if they are too crowded to be searched
    /// together.
    pub(super) fn collect_all(&mut self, ticket: Ticket) -> Result<Option<Vec<Detections>>, DetectError> {
        let Ticket(mark) = ticket;
        let mine = |pending: &Pending| std::ptr::eq(pending.ticket.as_ptr(), Arc::as_ptr(&mark));
        let index = self.pending.iter().position(mine).ok_or(DetectError::ForeignTicket)?;
        self.land(index);
        match self.pending.remove(index).map(|pending| pending.state) {
            Some(PendingState::Landed(result)) => result,
            _ => Err(DetectError::ForeignTicket),
        }
    }

    /// Returns the number of frames that are searched together where they are at hand:
    /// [`Detector::TOGETHER`] on a GPU, which single small frames cannot keep busy, and one on the CPU
    /// engine.
    pub fn together(&self) -> usize {
        Self::together_on(self.engine())
    }

    /// Returns [`Detector::together`] of a detector on `engine`.
    pub fn together_on(engine: &Engine) -> usize {
        if engine.gpu().is_some() { Self::TOGETHER } else { 1 }
    }

    fn start(
        &mut self,
        frames: &[impl Borrow<Frame>],
        uploaded: Option<&GpuFrame>,
        levels: &[PyramidLevel],
    ) -> Result<PendingState, DetectError> {
        let flying = |pending: &Pending| matches!(pending.state, PendingState::Flying { .. });
        if self.pending.iter().filter(|pending| flying(pending)).count() >= Self::IN_FLIGHT
            && let Some(oldest) = self.pending.iter().position(flying)
        {
            self.land(oldest);
        }
        let first: &Frame = frames[0].borrow();
        let key = Frames { images: frames.len() as u32, size: [first.width, first.height] };
        if self.ready.is_full_for(key) {
            (0..self.pending.len()).for_each(|index| self.land(index));
        }
        let prepared = self.ready.get_or_prepare(key, levels)?;
        if !uploaded.map_or(Ok(false), |uploaded| prepared.session.lend(prepared.pixels, uploaded))? {
            for (image, frame) in frames.iter().enumerate() {
                let frame: &Frame = frame.borrow();
                prepared.session.write_from(prepared.pixels, image * frame.rgba.len() / 4, &frame.rgba);
            }
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

    /// Waits for the pending frame at `index`, if it is in flight. After a failure all recordings are
    /// discarded, so that the next frame starts from a clean state.
    fn land(&mut self, index: usize) {
        let pending = &mut self.pending[index];
        let PendingState::Flying { frames, .. } = pending.state else { return };
        let lost = PendingState::Landed(Err(EngineError::Lost { message: "an earlier frame failed".to_owned() }.into()));
        let PendingState::Flying { flight, .. } = std::mem::replace(&mut pending.state, lost) else { return };
        let Some(prepared) = self.ready.get_mut(frames) else { return };
        let Prepared { session, result, .. } = prepared;
        let landed =
            session.collect_with(flight, |outputs| if result.is_crowded(outputs) { Ok(None) } else { result.found(outputs).map(Some) });
        let result = landed.unwrap_or_else(|error| Err(error.into()));
        if matches!(result, Err(DetectError::Engine(_))) {
            self.ready.clear();
        }
        self.pending[index].state = PendingState::Landed(result);
    }

    /// Records the cascade for frames of the size of `frame` and loads it without playing it, for `doctor`.
    ///
    /// # Errors
    ///
    /// As for [`Detector::detect`]; [`DetectError::FrameTooSmall`] if no face fits in the frame.
    pub fn session(&self, frame: &Frame) -> Result<Session, DetectError> {
        Ok(self.prepared(frame)?.session)
    }

    /// Prepares the cascade with `frame` as its input, independently of the recordings that stay loaded.
    pub(super) fn prepared(&self, frame: &Frame) -> Result<Prepared, DetectError> {
        let frames = Frames { images: 1, size: [frame.width, frame.height] };
        let mut prepared = self.ready.prepare(frames, &self.ready.levels(frame))?;
        prepared.session.write(prepared.pixels, &frame.rgba);
        Ok(prepared)
    }
}

/// Returns the recording that a [`Detector`] plays on `device` for `images` frames of `size` (columns and
/// rows, px) at once, for tests and tools that inspect it without a device.
///
/// # Errors
///
/// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit.
pub fn recording(images: u32, size: [u32; 2], weights: &Weights, config: &Config, device: DeviceFacts) -> Result<Recording, DetectError> {
    config.validate()?;
    let levels = pyramid::levels(size[0], size[1], config);
    Ok(Plan::new(Frames { images, size }, &levels, weights, config, device, None)?.recording)
}
