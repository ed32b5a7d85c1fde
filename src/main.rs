//! The `mtcmcn` program. Everything is in [`cli`]; here only how it ends: results on stdout, the rest on stderr, and the exit code.

mod cli;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match cli::run(&cli::Cli::parse()) {
        Ok(code) => code,
        Err(error) if cli::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "mtcmcn: {}", cli::explain(&error));
            cli::Outcome::Failed.into()
        }
    }
}
