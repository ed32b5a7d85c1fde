//! Ctrl-C: once to finish the step and save, twice to end at once.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result};

/// Set when the run is to end.
static STOP: AtomicBool = AtomicBool::new(false);

/// What to do for a second Ctrl-C, or a signal to terminate after one.
#[allow(clippy::disallowed_methods, reason = "the user wants it to end without anything further")]
fn end_now() {
    std::process::exit(130);
}

/// From now on the first Ctrl-C (or SIGTERM) sets what this returns, and the second ends the process.
pub fn on_interrupt(quiet: bool) -> Result<&'static AtomicBool> {
    ctrlc::set_handler(move || {
        if STOP.swap(true, Ordering::Relaxed) {
            end_now();
        }
        if !quiet {
            eprintln!("\nfinishing the step and saving; once more to end at once");
        }
    })
    .context("taking care of Ctrl-C")?;
    Ok(&STOP)
}
