//! The `mtcmcn` program. Everything is in [`cli`]; here only how it ends: results on stdout, the rest on
//! stderr, and the exit code.

mod cli;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

fn main() -> ExitCode {
    quiet_drivers();
    cli::signals::survive_full_files();
    if STDOUT_CLOSED.load(Ordering::Relaxed) {
        let _ = writeln!(io::stderr(), "mtcmcn: stdout is closed, so results would be lost; to do without them, send them to /dev/null");
        return cli::Outcome::Failed.into();
    }
    match cli::run(&cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mtcmcn: {}", cli::explain(&error));
            cli::Outcome::Failed.into()
        }
    }
}

/// Whether the process was started with stdout closed (`>&-`).
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Looks whether stdout is open. This has to be done before `main`, since Rust's runtime opens `/dev/null` in
/// the place of a stdout that is closed.
#[cfg(unix)]
#[ctor::ctor(unsafe)]
fn look_at_stdout() {
    let closed = Path::new("/dev/fd").is_dir() && Path::new("/dev/fd/1").symlink_metadata().is_err();
    STDOUT_CLOSED.store(closed, Ordering::Relaxed);
}

/// Mesa's Vulkan layer and its EGL look for a Wayland display, and where `XDG_RUNTIME_DIR` is unset
/// (containers, cron, root) they say so on stderr at every start. With a folder named they look there, find
/// no display and are content.
#[allow(clippy::disallowed_methods, reason = "before any thread, and drivers have no other way to be told")]
fn quiet_drivers() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: this is the first thing the program does, no other thread can be reading the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
