//! Frames as they come: those that are at hand are searched together.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::detector::Detector;
use super::found::{DetectError, Detections, Frame, Ticket};

impl Detector {
    /// Searches `frames`, all of which are at hand, as [`Detector::detect_arriving`] does; yields the
    /// detections in order.
    pub fn detect_stream<I>(&mut self, frames: I) -> impl Iterator<Item = Result<Detections, DetectError>>
    where
        I: IntoIterator<Item: Borrow<Frame>>,
    {
        let mut frames = frames.into_iter();
        FrameStream::new(self, move |_| frames.next().map_or(Arrival::End, Arrival::Frame)).map(|(_, found)| found)
    }

    /// Searches frames as they arrive, until the sender is dropped; yields each with its detections, in
    /// order, equal to those of [`Detector::detect`].
    ///
    /// Of the frames that have arrived, [`Detector::together`] of one size are searched as one recording,
    /// fewer one by one: otherwise every number of frames would need a recording of its own. Up to
    /// [`Detector::IN_FLIGHT`] recordings are in flight. While results are due, no frame is waited for.
    pub fn detect_arriving<F: Borrow<Frame>>(&mut self, frames: Receiver<F>) -> impl Iterator<Item = (F, Result<Detections, DetectError>)> {
        FrameStream::new(self, move |idle| match frames.try_recv() {
            Ok(frame) => Arrival::Frame(frame),
            Err(TryRecvError::Empty) if idle => frames.recv().map_or(Arrival::End, Arrival::Frame),
            Err(TryRecvError::Empty) => Arrival::NotYet,
            Err(TryRecvError::Disconnected) => Arrival::End,
        })
    }

    /// Searches `frames` as [`Detector::detect_stream`] does and returns their detections in order.
    ///
    /// # Errors
    ///
    /// As for [`Detector::detect`], for the first frame that cannot be searched.
    pub fn detect_batch(&mut self, frames: &[Frame]) -> Result<Vec<Detections>, DetectError> {
        self.detect_stream(frames).collect()
    }
}

/// What a source of frames has to give.
enum Arrival<F> {
    /// The next frame.
    Frame(F),
    /// Nothing for now.
    NotYet,
    /// Nothing any more.
    End,
}

/// Frames that are searched as one recording, in flight.
struct FrameGroup<F> {
    frames: Vec<F>,
    submitted: Result<Ticket, DetectError>,
}

/// An iterator over frames and their detections.
struct FrameStream<'a, F, S> {
    detector: &'a mut Detector,
    /// Gives the next frame; waits for it if it is passed `true`.
    source: S,
    ended: bool,
    /// Frames that have arrived and wait for their search.
    waiting: VecDeque<F>,
    in_flight: VecDeque<FrameGroup<F>>,
    done: VecDeque<(F, Result<Detections, DetectError>)>,
}

impl<'a, F: Borrow<Frame>, S: FnMut(bool) -> Arrival<F>> FrameStream<'a, F, S> {
    /// Creates a stream over the frames of `source`.
    fn new(detector: &'a mut Detector, source: S) -> Self {
        Self { detector, source, ended: false, waiting: VecDeque::new(), in_flight: VecDeque::new(), done: VecDeque::new() }
    }

    /// Takes frames that have arrived; waits for one only if there is nothing else to do.
    fn receive(&mut self) {
        while !self.ended && self.waiting.len() < self.detector.together() {
            let idle = self.waiting.is_empty() && self.in_flight.is_empty();
            match (self.source)(idle) {
                Arrival::Frame(frame) => self.waiting.push_back(frame),
                Arrival::NotYet => break,
                Arrival::End => self.ended = true,
            }
        }
    }

    /// Returns the number of waiting frames to search next: as many as are searched together, if they are of
    /// one size, or one.
    fn next_group(&self) -> usize {
        let together = self.detector.together();
        let size = |frame: &F| (frame.borrow().width, frame.borrow().height);
        let alike = self.waiting.len() >= together && self.waiting.iter().take(together).all(|frame| size(frame) == size(&self.waiting[0]));
        if alike { together } else { self.waiting.len().min(1) }
    }

    fn submit(&mut self) {
        while self.in_flight.len() < Detector::IN_FLIGHT {
            let frames: Vec<F> = self.waiting.drain(..self.next_group()).collect();
            if frames.is_empty() {
                return;
            }
            let submitted = self.detector.submit_all(&frames, None);
            self.in_flight.push_back(FrameGroup { frames, submitted });
            self.receive();
        }
    }

    /// Waits for the oldest group in flight.
    fn land(&mut self, group: FrameGroup<F>) {
        match group.submitted.and_then(|ticket| self.detector.collect_all(ticket)) {
            Ok(Some(found)) => self.done.extend(group.frames.into_iter().zip(found.into_iter().map(Ok))),
            // Too many crops for one pass, or trouble: each frame by itself, which tells whose it is.
            Ok(None) | Err(_) if group.frames.len() > 1 => {
                for frame in group.frames {
                    let found = self.detector.detect(frame.borrow());
                    self.done.push_back((frame, found));
                }
            }
            Ok(None) => {}
            Err(error) => self.done.extend(group.frames.into_iter().next().map(|frame| (frame, Err(error)))),
        }
    }
}

impl<F: Borrow<Frame>, S: FnMut(bool) -> Arrival<F>> Iterator for FrameStream<'_, F, S> {
    type Item = (F, Result<Detections, DetectError>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(done) = self.done.pop_front() {
                return Some(done);
            }
            self.receive();
            self.submit();
            let group = self.in_flight.pop_front()?;
            self.land(group);
        }
    }
}
