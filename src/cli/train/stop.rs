//! Ctrl-C: once to finish the step and save, twice to end at once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mtcmcn::files;

/// Set when the run is to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// Signals that follow each other faster than this are one: GNU `timeout` sends one to the process and one to
/// its group.
const TOGETHER: Duration = Duration::from_secs(1);

/// What to do for a second Ctrl-C, or a signal to terminate after one.
#[allow(clippy::disallowed_methods, reason = "the user wants it to end without anything further")]
fn end_now() {
    files::abandon();
    std::process::exit(130);
}

/// From now on the first Ctrl-C (or SIGTERM) sets what this returns, and one that comes a second later or
/// more ends the process.
pub fn on_interrupt(quiet: bool) -> Result<&'static AtomicBool> {
    static FIRST: Mutex<Option<Instant>> = Mutex::new(None);
    ctrlc::set_handler(move || {
        let first = FIRST.lock().map_or_else(|_| Instant::now(), |mut first| *first.get_or_insert_with(Instant::now));
        if !STOP.swap(true, Ordering::Relaxed) {
            if !quiet {
                eprintln!("\nfinishing the step and saving; once more to end at once");
            }
        } else if first.elapsed() >= TOGETHER {
            end_now();
        }
    })
    .context("taking care of Ctrl-C")?;
    Ok(&STOP)
}
