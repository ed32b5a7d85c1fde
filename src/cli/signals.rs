//! What is done when the process is told to end: files that are being written are taken away first.

use anyhow::{Context as _, Result};
use mtcmcn::files;

/// A file that reaches the limit that the shell sets for it (`ulimit -f`) is an error of that file, as a full
/// disk is, and not the end of the process.
pub fn survive_full_files() {
    #[cfg(unix)]
    {
        use signal_hook::consts::SIGXFSZ;
        // Taking note of the signal is what keeps it from killing; nobody reads the note.
        let _ = signal_hook::flag::register(SIGXFSZ, std::sync::Arc::default());
    }
}

/// From now on Ctrl-C, and a signal to terminate or of a terminal that is closed, remove unfinished files
/// before they end the process as they would anyway.
///
/// # Errors
///
/// If the system does not let us know of signals.
#[cfg(unix)]
pub fn clean_up_at_the_end() -> Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;

    // What is ignored from the start, as with `nohup`, stays ignored: signal-hook tells nothing of it, so the
    // system is asked.
    let wanted = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(*signal));
    let mut signals = Signals::new(wanted).context("taking care of signals")?;
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            files::abandon();
            let _ = emulate_default_handler(signal);
        }
    };
    std::thread::Builder::new().spawn(wait).context("starting the thread that waits for signals")?;
    Ok(())
}

/// Whether the process was started with `signal` ignored, where the system says so.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// From now on Ctrl-C removes unfinished files before it ends the process.
///
/// # Errors
///
/// If the system does not let us know of it.
#[cfg(not(unix))]
pub fn clean_up_at_the_end() -> Result<()> {
    ctrlc::set_handler(|| {
        files::abandon();
        end();
    })
    .context("taking care of Ctrl-C")
}

#[cfg(not(unix))]
#[allow(clippy::disallowed_methods, reason = "the user wants it to end without anything further")]
fn end() {
    std::process::exit(130);
}
