//! The thread that a source runs on, and the one place for its newest frame.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mtcmcn::Frame;

use crate::source::{Source, SourceError, SourceSpec, Stop};

/// A frame from a source.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The pixels.
    pub frame: Arc<Frame>,
    /// What a record calls it.
    pub name: String,
    /// When the source gave it.
    pub at: Instant,
    /// Whether it follows the frame before in time, so that faces can be followed.
    pub moving: bool,
}

#[derive(Default)]
struct State {
    newest: Option<Taken>,
    /// Frames given and frames that a newer one replaced unseen.
    given: u64,
    dropped: u64,
    closed: bool,
}

/// Holds the newest frame: a writer never waits, and what nobody took in time is replaced.
#[derive(Default)]
pub struct Mailbox {
    state: Mutex<State>,
    changed: Condvar,
}

impl Mailbox {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a frame in, over an older one.
    pub fn put(&self, taken: Taken) {
        let mut state = self.state();
        state.given += 1;
        state.dropped += u64::from(state.newest.replace(taken).is_some());
        self.changed.notify_all();
    }

    /// Takes the newest frame; waits for one at most so long.
    pub fn take(&self, patience: Duration) -> Option<Taken> {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, patience, |state| state.newest.is_none() && !state.closed);
        let taken = waited.unwrap_or_else(PoisonError::into_inner).0.newest.take();
        // Somebody may wait until it is empty.
        self.changed.notify_all();
        taken
    }

    /// Wakes whoever waits.
    pub fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    /// Frames given and frames dropped.
    pub fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.given, state.dropped)
    }

    /// Waits until the frame is taken, at most so long; for sources that should show every frame.
    fn wait_empty(&self, patience: Duration) {
        let state = self.state();
        let _ = self.changed.wait_timeout_while(state, patience, |state| state.newest.is_some() && !state.closed);
    }
}

/// What the source thread is told, and what it says.
#[derive(Default)]
struct Orders {
    closing: AtomicBool,
    paused: AtomicBool,
    news: Mutex<News>,
    woken: Condvar,
}

#[derive(Default)]
struct News {
    skip: i64,
    /// Latest trouble, until it is fetched.
    trouble: Option<String>,
    ended: bool,
    stop: Option<Stop>,
}

/// A source that runs.
pub struct Feed {
    /// What it was opened from.
    pub spec: SourceSpec,
    orders: Arc<Orders>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    /// Opens `spec` on a thread of its own and puts its frames into `mailbox`. Trouble is told by
    /// [`Feed::trouble`]. `wake` is called when there is news.
    pub fn start(spec: SourceSpec, mailbox: Arc<Mailbox>, wake: impl Fn() + Send + 'static) -> Self {
        let orders = Arc::new(Orders::default());
        let thread = {
            let (spec, orders) = (spec.clone(), orders.clone());
            thread::spawn(move || {
                let outcome = spec.open().and_then(|mut source| {
                    orders.news().stop = source.stop();
                    pump(&mut *source, &orders, &mailbox, &wake)
                });
                let mut news = orders.news();
                news.ended = true;
                // What a source says when it is ended from outside is no trouble.
                if let (Err(error), false) = (outcome, orders.closing.load(Ordering::Relaxed)) {
                    news.trouble = Some(error.to_string());
                }
                drop(news);
                wake();
            })
        };
        Self { spec, orders, thread: Some(thread) }
    }

    /// Holds the source, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.orders.paused.store(paused, Ordering::Relaxed);
        self.orders.woken.notify_all();
    }

    /// Gives one frame, `by` on from the last (1 for the next), even while paused.
    pub fn step(&self, by: i64) {
        self.orders.news().skip += by;
        self.orders.woken.notify_all();
    }

    /// What went wrong since this was last asked.
    pub fn trouble(&self) -> Option<String> {
        self.orders.news().trouble.take()
    }

    /// Whether the source has given its last frame.
    pub fn ended(&self) -> bool {
        self.orders.news().ended
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.orders.closing.store(true, Ordering::Relaxed);
        self.orders.woken.notify_all();
        if let Some(stop) = self.orders.news().stop.take() {
            stop();
        }
        // A camera that hangs must not hold up the window: its thread ends when the driver lets it.
        if let Some(thread) = self.thread.take().filter(JoinHandle::is_finished) {
            let _ = thread.join();
        }
    }
}

impl Orders {
    fn news(&self) -> std::sync::MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits while there is nothing to do: held, or before the next frame is due. Returns how far to skip.
    fn wait(&self, due: Instant, still: bool) -> i64 {
        let mut news = self.news();
        loop {
            if self.closing.load(Ordering::Relaxed) || news.skip != 0 {
                return std::mem::take(&mut news.skip);
            }
            let left = due.saturating_duration_since(Instant::now());
            let held = still || self.paused.load(Ordering::Relaxed);
            if !held && left.is_zero() {
                return 0;
            }
            let patience = if held { Duration::from_millis(200) } else { left };
            news = self.woken.wait_timeout(news, patience).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn pump(source: &mut dyn Source, orders: &Orders, mailbox: &Mailbox, wake: &impl Fn()) -> Result<(), SourceError> {
    let mut due = Instant::now();
    let mut first = true;
    loop {
        let skip = if std::mem::take(&mut first) { 0 } else { orders.wait(due, source.still()) };
        if orders.closing.load(Ordering::Relaxed) {
            return Ok(());
        }
        // The next frame is one on by itself.
        if skip != 0 && skip != 1 {
            source.skip(skip - 1);
        }
        match source.next() {
            // It may have been closed meanwhile, and another source be the one to show.
            Ok(Some(_)) if orders.closing.load(Ordering::Relaxed) => return Ok(()),
            Ok(Some(picture)) => {
                mailbox.put(Taken { frame: Arc::new(picture.frame), name: picture.name, at: Instant::now(), moving: source.moving() });
            }
            Ok(None) => return Ok(()),
            Err(error) if error.passing() => {
                orders.news().trouble = Some(error.to_string());
                wake();
                continue;
            }
            Err(error) => return Err(error),
        }
        let pace = source.pace();
        // Images of a folder are all shown, however slow the search; live frames are not waited for.
        if pace >= Duration::from_millis(500) {
            mailbox.wait_empty(Duration::from_secs(60));
        }
        due = (due + pace).max(Instant::now() - pace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(name: &str) -> Taken {
        let frame = Arc::new(Frame::from_rgba(1, 1, vec![0; 4]).expect("one pixel"));
        Taken { frame, name: name.to_owned(), at: Instant::now(), moving: true }
    }

    #[test]
    fn the_newest_frame_is_taken_and_the_others_are_counted() {
        let mailbox = Mailbox::default();
        ["a", "b", "c"].into_iter().for_each(|name| mailbox.put(taken(name)));
        assert_eq!(mailbox.take(Duration::ZERO).expect("a frame").name, "c");
        assert!(mailbox.take(Duration::ZERO).is_none());
        assert_eq!(mailbox.counts(), (3, 2));
    }

    #[test]
    fn a_source_that_does_not_open_says_why() {
        let spec = SourceSpec::Files("/nowhere/at/all.png".into());
        let (sender, receiver) = std::sync::mpsc::channel();
        let feed = Feed::start(spec, Arc::default(), move || sender.send(()).unwrap_or_default());
        receiver.recv_timeout(Duration::from_secs(20)).expect("news");
        assert!(feed.ended());
        assert!(feed.trouble().expect("trouble").contains("/nowhere/at/all.png"));
    }

    #[test]
    fn a_paused_source_steps() {
        let mailbox = Arc::new(Mailbox::default());
        let feed = Feed::start(SourceSpec::Synthetic, mailbox.clone(), || {});
        let patience = Duration::from_secs(20);
        let number = |taken: Taken| taken.name.rsplit('#').next().and_then(|n| n.parse::<i64>().ok()).expect("numbered");
        feed.pause(true);
        // One more frame may have been under way.
        number(mailbox.take(patience).expect("the first frame comes in any case"));
        let mut last = -1;
        while let Some(taken) = mailbox.take(Duration::from_millis(500)) {
            last = number(taken);
        }
        feed.step(1);
        let next = number(mailbox.take(patience).expect("a step gives a frame"));
        assert!(next == last + 1 || last == -1);
        feed.step(10);
        assert_eq!(number(mailbox.take(patience).expect("a step gives a frame")), next + 10);
        feed.step(-5);
        assert_eq!(number(mailbox.take(patience).expect("a step gives a frame")), next + 5);
    }
}
