//! The thread that searches: always the newest frame, with the newest settings, never waited for by the
//! window.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mtcmcn::cascade::Trace;
use mtcmcn::engine::gpu::{Gpu, GpuFrame};
use mtcmcn::video::{Tracked, Tracker};
use mtcmcn::{Detections, Frame};

use crate::feed::{Mailbox, Taken};
use crate::keep::Recording;
use crate::searcher::Searcher;
use crate::settings::Detection;
use crate::stats::Stats;
use crate::upload::Uploads;

/// Frames in which a face is seen before it has a number; fewer are a flicker.
const PROBATION: u32 = 2;

/// What the window wants of the search.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// Settings of the detector.
    pub detection: Detection,
    /// Ids and smoothing.
    pub tracking: bool,
    /// Every stage of every frame; slow, so for paused frames.
    pub trace: bool,
    /// Every stage of one frame a second, for its times.
    pub times: bool,
}

/// A searched frame, ready to be drawn.
#[derive(Debug)]
pub struct Shown {
    /// The frame and its name.
    pub taken: Taken,
    /// The frame on the window's device, uploaded once; `None` if the device is gone.
    pub picture: Option<Arc<GpuFrame>>,
    /// What was found.
    pub detections: Detections,
    /// The same faces with their numbers, as they are drawn.
    pub faces: Vec<Tracked>,
    /// How long the search took.
    pub latency: Duration,
    /// Every stage, if that was wanted.
    pub trace: Option<Arc<Trace>>,
    /// Which source it came from.
    pub source: u64,
    /// The settings that it was searched with.
    pub settings: Detection,
}

/// What the window reads.
#[derive(Debug, Default)]
pub struct Board {
    /// The newest searched frame.
    pub shown: Option<Arc<Shown>>,
    /// Latencies and rates.
    pub stats: Stats,
    /// What it runs on, in words.
    pub engine: String,
    /// Trouble that was not told yet.
    pub messages: Vec<String>,
    /// Frames searched since the start.
    pub searched: u64,
    /// Times of the stages, when they were last taken.
    pub times: Vec<(&'static str, Duration)>,
    /// Frames in the recording under way.
    pub recorded: Option<u64>,
}

struct Shared {
    /// Where frames come from, and which source that is.
    mailbox: Mutex<(Arc<Mailbox>, u64)>,
    wanted: Mutex<Wanted>,
    board: Mutex<Board>,
    recording: Mutex<Option<Recording>>,
    closing: AtomicBool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running search.
pub struct Worker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// A thread that searches what [`Worker::look_at`] gives it. `window` is the device that draws; `wake` is
    /// called after every frame.
    pub fn start(window: Option<Gpu>, wanted: Wanted, wake: impl Fn() + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            mailbox: Mutex::default(),
            wanted: Mutex::new(wanted),
            board: Mutex::default(),
            recording: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        let thread = {
            let shared = shared.clone();
            thread::spawn(move || Loop::new(&shared, window).run(&wake))
        };
        Self { shared, thread: Some(thread) }
    }

    /// Searches the frames of another source, the `source`th, from now on.
    pub fn look_at(&self, mailbox: Arc<Mailbox>, source: u64) {
        let (old, _) = std::mem::replace(&mut *lock(&self.shared.mailbox), (mailbox, source));
        old.close();
    }

    /// Asks for something else from the next frame on.
    pub fn want(&self, wanted: Wanted) {
        *lock(&self.shared.wanted) = wanted;
    }

    /// What there is to show; held only as long as it takes to copy from.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.shared.board)
    }

    /// Records every searched frame into a file in `folder` from now on.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn record(&self, folder: &std::path::Path) -> std::io::Result<()> {
        let recording = Recording::start(folder)?;
        *lock(&self.shared.recording) = Some(recording);
        self.board().recorded = Some(0);
        Ok(())
    }

    /// Ends the recording; its path, if there was one.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn stop_recording(&self) -> std::io::Result<Option<PathBuf>> {
        let recording = lock(&self.shared.recording).take();
        self.board().recorded = None;
        recording.map(Recording::finish).transpose()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        lock(&self.shared.mailbox).0.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Loop<'a> {
    shared: &'a Shared,
    searcher: Searcher,
    uploads: Uploads,
    tracker: Tracker,
    /// What times of frames are counted from.
    began: Instant,
    last: Option<Arc<Shown>>,
    done: Wanted,
    source: u64,
    /// When the stages were last timed.
    timed: Option<Instant>,
}

impl<'a> Loop<'a> {
    fn new(shared: &'a Shared, window: Option<Gpu>) -> Self {
        let (searcher, uploads) = (Searcher::new(window.clone()), Uploads::new(window));
        Self {
            shared,
            searcher,
            uploads,
            tracker: Tracker::new(PROBATION),
            began: Instant::now(),
            last: None,
            done: Wanted::default(),
            source: 0,
            timed: None,
        }
    }

    fn run(&mut self, wake: &impl Fn()) {
        while !self.shared.closing.load(Ordering::Relaxed) {
            let wanted = lock(&self.shared.wanted).clone();
            let (mailbox, source) = lock(&self.shared.mailbox).clone();
            if self.source != source {
                self.source = source;
                self.last = None;
                self.tracker = Tracker::new(PROBATION);
                lock(&self.shared.board).stats.clear();
            }
            // A frame that is looked at is searched again when settings change.
            let again = self.last.is_some() && wanted != self.done;
            let patience = Duration::from_millis(if again { 0 } else { 50 });
            let (taken, repeated) = match (mailbox.take(patience), &self.last) {
                (Some(taken), _) => (taken, false),
                (None, Some(last)) if again => (last.taken.clone(), true),
                _ => continue,
            };
            self.search(&taken, repeated, &wanted);
            self.done = wanted;
            wake();
        }
    }

    fn search(&mut self, taken: &Taken, repeated: bool, wanted: &Wanted) {
        let picture = match &self.last {
            Some(last) if repeated && last.picture.is_some() => last.picture.clone(),
            _ => self.uploads.upload(&taken.frame),
        };
        let start = Instant::now();
        let detections = self.searcher.search(&taken.frame, picture.as_deref(), &wanted.detection);
        let (end, latency) = (Instant::now(), start.elapsed());
        let due = wanted.times && self.timed.is_none_or(|timed| timed.elapsed() >= Duration::from_secs(1));
        let trace = if wanted.trace || due { self.searcher.trace(&taken.frame, &wanted.detection) } else { None };
        if let Some(trace) = &trace {
            self.timed = Some(Instant::now());
            lock(&self.shared.board).times.clone_from(&trace.times);
        }
        let moving = wanted.tracking && taken.moving;
        let faces = match (moving, repeated) {
            (true, false) => self.tracker.update(&detections.faces, taken.at.saturating_duration_since(self.began).as_secs_f64()),
            (true, true) => self.tracker.recognise(&detections.faces),
            _ => Tracked::plain(&detections.faces),
        };
        let recorded = if repeated { None } else { self.record(taken, &detections) };
        let shown = Arc::new(Shown {
            taken: taken.clone(),
            picture,
            detections,
            faces,
            latency,
            trace: trace.map(Arc::new),
            source: self.source,
            settings: wanted.detection.clone(),
        });
        self.last = Some(shown.clone());
        let mut board = lock(&self.shared.board);
        board.messages.extend(self.searcher.messages.drain(..).chain(self.uploads.trouble.take()).chain(recorded));
        board.stats.push(end, latency);
        board.engine = self.searcher.engine();
        board.searched += 1;
        board.shown = Some(shown);
    }

    /// Appends to the recording, if there is one; what went wrong, if anything.
    fn record(&self, taken: &Taken, detections: &Detections) -> Option<String> {
        let mut recording = lock(&self.shared.recording);
        let written = recording.as_mut()?.push(&taken.name, &taken.frame, detections);
        let frames = recording.as_ref().map(|recording| recording.frames);
        let trouble = written.err().map(|error| {
            *recording = None;
            format!("the recording ends: {error}")
        });
        lock(&self.shared.board).recorded = if trouble.is_some() { None } else { frames };
        trouble
    }
}

/// A frame small enough for a device that binds at most `bytes`, by leaving out columns and rows; `None` if
/// it fits as it is.
pub fn reduced(frame: &Frame, bytes: u64) -> Option<Frame> {
    let whole = u64::from(frame.width()) * u64::from(frame.height()) * 4;
    if whole <= bytes {
        return None;
    }
    let by = ((whole as f64 / bytes as f64).sqrt().ceil() as u32).max(2);
    let (width, height) = ((frame.width() / by).max(1), (frame.height() / by).max(1));
    let row = frame.width() as usize * 4;
    let pixels = (0..height).flat_map(|y| {
        let line = &frame.rgba()[(y * by) as usize * row..][..row];
        (0..width).flat_map(move |x| line[(x * by) as usize * 4..][..4].iter().copied())
    });
    Frame::from_rgba(width, height, pixels.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_that_no_buffer_holds_is_thinned_out() {
        let pixels = (0..100u32 * 60).flat_map(|i| [(i % 100) as u8, (i / 100) as u8, 0, 255]).collect();
        let frame = Frame::from_rgba(100, 60, pixels).expect("the length fits");
        assert_eq!(reduced(&frame, 100 * 60 * 4), None);
        let small = reduced(&frame, 9000).expect("too large");
        assert_eq!((small.width(), small.height()), (50, 30));
        assert_eq!(small.rgba()[(7 * 50 + 9) * 4..][..2], [18, 14]);
    }
}
