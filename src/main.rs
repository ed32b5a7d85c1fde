//! The `mtcmcn` program. Everything is in [`cli`]; here only how it ends: results on stdout, the rest on stderr, and the exit code.

mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Parser as _;

fn main() -> ExitCode {
    quiet_drivers();
    cli::signals::survive_full_files();
    let cli = cli::Cli::parse();
    if STDOUT_IS_CLOSED.load(Ordering::Relaxed) {
        let _ = writeln!(io::stderr(), "mtcmcn: standard output is closed: there is nowhere to write results to");
        return cli::Outcome::Failed.into();
    }
    match cli::run(&cli) {
        Ok(code) => code,
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mtcmcn: {}", cli::explain(&error));
            cli::Outcome::Failed.into()
        }
    }
}

/// Whether the program was started without a standard output (`>&-`).
static STDOUT_IS_CLOSED: AtomicBool = AtomicBool::new(false);

/// Has to be looked at before Rust's runtime opens /dev/null in its place, into which all results would go without a word.
#[cfg(target_os = "linux")]
#[ctor::ctor(unsafe)]
fn look_at_stdout() {
    let descriptors = std::path::Path::new("/proc/self/fd");
    STDOUT_IS_CLOSED.store(descriptors.exists() && !descriptors.join("1").exists(), Ordering::Relaxed);
}

/// Mesa's Vulkan layer and its EGL look for a Wayland display, and where `XDG_RUNTIME_DIR` is unset (containers, cron, root) they say so on
/// stderr at every start. With a folder named they look there, find no display and are content.
#[allow(clippy::disallowed_methods, reason = "before any thread, and drivers have no other way to be told")]
fn quiet_drivers() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: this is the first thing the program does, no other thread can be reading the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}
