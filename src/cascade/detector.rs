//! [`Detector`]: a frame in, faces out.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use super::Config;
use super::found::{DetectError, Detections, Frame, StageCounts, Ticket, face};
use super::plan::{Budget, Counters, Plan};
use super::pyramid::{self, Level};
use crate::engine::gpu::GpuFrame;
use crate::engine::{Engine, EngineError, Flight, Outputs, Session};
use crate::kernels::select::{Counter, Faces};
use crate::nets::{ONET, PNET, RNET};
use crate::record::{Recording, Slot};
use crate::weights::Weights;

/// The cascade for one frame size, ready to play.
struct Prepared {
    size: [u32; 2],
    session: Session,
    frame: Slot,
    faces: Slot,
    counters: Counters,
}

/// A submitted frame.
struct Pending {
    /// Gone when nobody will ask.
    ticket: Weak<()>,
    state: State,
}

enum State {
    /// Being searched by the session for frames of `size`.
    Flying { size: [u32; 2], flight: Flight },
    /// Searched.
    Landed(Result<Detections, DetectError>),
}

/// Finds faces in frames.
///
/// Buffers are kept from frame to frame and kernels are compiled once per engine. Frames may differ in size: the last few sizes stay ready.
pub struct Detector {
    engine: Engine,
    weights: Weights,
    config: Config,
    /// Most recent last.
    ready: Vec<Prepared>,
    /// Oldest first.
    pending: VecDeque<Pending>,
}

/// Frame sizes that stay ready.
const READY: usize = 2;

impl Detector {
    /// Frames under way at most.
    pub const IN_FLIGHT: usize = 3;

    /// A detector that runs on `engine` with `weights`.
    ///
    /// # Errors
    ///
    /// [`DetectError::Config`] if a setting is out of range, [`DetectError::Net`] if weights do not fit the nets.
    pub fn new(engine: Engine, weights: &Weights, config: Config) -> Result<Self, DetectError> {
        config.validate()?;
        for net in [PNET, RNET, ONET] {
            net.forward(&mut Recording::new(), weights)?;
        }
        Ok(Self { engine, weights: weights.clone(), config, ready: Vec::new(), pending: VecDeque::new() })
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What it was made with.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The engine it runs on.
    pub fn engine(&self) -> &Engine {
        &self.engine
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
        self.submit_from(frame, None)
    }

    /// As [`Detector::submit`] for a frame that is on the device already: an engine on that device reads `uploaded` itself, any other `frame`.
    /// Until the ticket is collected `uploaded` may be read, but not written.
    ///
    /// # Errors
    ///
    /// As [`Detector::submit`].
    pub fn submit_uploaded(&mut self, frame: &Frame, uploaded: &GpuFrame) -> Result<Ticket, DetectError> {
        self.submit_from(frame, Some(uploaded).filter(|uploaded| uploaded.size() == [frame.width, frame.height]))
    }

    fn submit_from(&mut self, frame: &Frame, uploaded: Option<&GpuFrame>) -> Result<Ticket, DetectError> {
        let ticket = Ticket(Arc::new(()));
        self.pending.retain(|pending| matches!(pending.state, State::Flying { .. }) || pending.ticket.strong_count() > 0);
        let levels = pyramid::levels(frame.width, frame.height, &self.config);
        let state = if levels.is_empty() { State::Landed(Ok(Detections::default())) } else { self.start(frame, uploaded, &levels)? };
        self.pending.push_back(Pending { ticket: Arc::downgrade(&ticket.0), state });
        Ok(ticket)
    }

    /// Waits for a frame that was submitted and returns what was found, as [`Detector::detect`] would.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; [`DetectError::ForeignTicket`] for one of another detector.
    pub fn collect(&mut self, ticket: Ticket) -> Result<Detections, DetectError> {
        let Ticket(mark) = ticket;
        let mine = |pending: &Pending| std::ptr::eq(pending.ticket.as_ptr(), Arc::as_ptr(&mark));
        let index = self.pending.iter().position(mine).ok_or(DetectError::ForeignTicket)?;
        self.land(index);
        match self.pending.remove(index).map(|pending| pending.state) {
            Some(State::Landed(result)) => result,
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

    /// Searches `frames` together; results in their order, equal to those of [`Detector::detect`].
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`], for the first frame that cannot be searched.
    pub fn detect_batch(&mut self, frames: &[Frame]) -> Result<Vec<Detections>, DetectError> {
        self.detect_stream(frames).collect()
    }

    fn start(&mut self, frame: &Frame, uploaded: Option<&GpuFrame>, levels: &[Level]) -> Result<State, DetectError> {
        let flying = |pending: &Pending| matches!(pending.state, State::Flying { .. });
        if self.pending.iter().filter(|pending| flying(pending)).count() >= Self::IN_FLIGHT
            && let Some(oldest) = self.pending.iter().position(flying)
        {
            self.land(oldest);
        }
        let size = [frame.width, frame.height];
        let prepared = match self.ready.iter().position(|prepared| prepared.size == size) {
            Some(i) => self.ready.remove(i),
            None => {
                // Room first: a large frame's buffers should not have to fit beside another's.
                if self.ready.len() >= READY {
                    (0..self.pending.len()).for_each(|index| self.land(index));
                    self.ready.drain(..(self.ready.len() + 1).saturating_sub(READY));
                }
                self.prepare(size, levels)?
            }
        };
        self.ready.push(prepared);
        let prepared = self.ready.last_mut().expect("just pushed");
        if !uploaded.map_or(Ok(false), |uploaded| prepared.session.lend(prepared.frame, uploaded))? {
            prepared.session.write(prepared.frame, &frame.rgba);
        }
        match prepared.session.submit() {
            Ok(flight) => Ok(State::Flying { size, flight }),
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
        let State::Flying { size, .. } = pending.state else { return };
        let lost = State::Landed(Err(EngineError::Lost { message: "an earlier frame failed".to_owned() }.into()));
        let State::Flying { flight, .. } = std::mem::replace(&mut pending.state, lost) else { return };
        let Some(prepared) = self.ready.iter_mut().find(|prepared| prepared.size == size) else { return };
        let result = match prepared.session.collect(flight) {
            Ok(outputs) => prepared.faces(&outputs),
            Err(error) => Err(error.into()),
        };
        if matches!(result, Err(DetectError::Engine(_))) {
            self.ready.clear();
        }
        self.pending[index].state = State::Landed(result);
    }

    /// Records and loads the cascade for frames of `size`, without playing it: for `doctor`.
    ///
    /// # Errors
    ///
    /// As [`Detector::detect`]; [`DetectError::FrameTooSmall`] for a frame that no face fits in.
    pub fn session(&self, frame: &Frame) -> Result<Session, DetectError> {
        let levels = pyramid::levels(frame.width, frame.height, &self.config);
        let mut prepared = self.prepare([frame.width, frame.height], &levels)?;
        prepared.session.write(prepared.frame, &frame.rgba);
        Ok(prepared.session)
    }

    fn prepare(&self, size: [u32; 2], levels: &[Level]) -> Result<Prepared, DetectError> {
        let [width, height] = size;
        let pixels = u64::from(width) * u64::from(height);
        if levels.is_empty() {
            return Err(DetectError::FrameTooSmall { width, height, min_face_px: self.config.min_face_px });
        }
        if pixels > 1 << 30 || !pyramid::fits_taps(width, height, levels, self.config.resampling) {
            return Err(DetectError::FrameTooLarge { width, height, min_face_px: self.config.min_face_px });
        }
        match self.load(&self.engine, size, levels) {
            // A frame that a device cannot hold is searched all the same.
            Err(DetectError::Engine(error @ (EngineError::TooLarge { .. } | EngineError::OutOfMemory { .. }))) => {
                tracing::warn!("{width} x {height} pixels are searched on the CPU: {error}");
                self.load(&Engine::cpu(), size, levels)
            }
            other => other,
        }
    }

    fn load(&self, engine: &Engine, size: [u32; 2], levels: &[Level]) -> Result<Prepared, DetectError> {
        let budget = if engine.gpu().is_some() { Budget::GPU } else { Budget::CPU };
        let Plan { recording, frame, faces, counters, .. } = Plan::new(size, levels, &self.weights, &self.config, budget)?;
        let session = engine.load(recording)?;
        Ok(Prepared { size, session, frame, faces, counters })
    }
}

impl Prepared {
    fn faces(&self, outputs: &Outputs) -> Result<Detections, DetectError> {
        let output = |slot: Slot| outputs.iter().find(|(other, _)| *other == slot).map_or(&[][..], |(_, data)| data);
        let counters = self.counters.map(|slot| Counter::read(output(slot)));
        let last = counters[6];
        if last.fault != 0 {
            return Err(DetectError::NotANumber);
        }
        let [cells, level_nms, merged, rnet, rnet_nms, onet, _] = counters.map(|counter| counter.wanted);
        let words = &output(self.faces)[..last.held as usize * Faces::WORDS];
        if words.iter().any(|word| !word.is_finite()) {
            return Err(DetectError::NotANumber);
        }
        let faces = words.chunks_exact(Faces::WORDS).map(face).collect();
        Ok(Detections {
            faces,
            // The last list is as long as the caller wants it.
            truncated: counters[..6].iter().any(|counter| counter.held < counter.wanted),
            counts: StageCounts { cells, level_nms, merged, rnet, rnet_nms, onet, faces: last.held },
        })
    }
}
