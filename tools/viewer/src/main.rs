//! `mtcmcn-viewer`.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;
use mtcmcn_viewer::args::Args;
use mtcmcn_viewer::window;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let args = Args::parse();
    let filter = match std::env::var("MTCMCN_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::new(directives),
        _ => EnvFilter::new("error,mtcmcn=warn,mtcmcn_viewer=warn"),
    };
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).without_time().init();
    match window::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "error: no window: {error}. A display is needed (DISPLAY or WAYLAND_DISPLAY) and a device that draws: Vulkan, Metal, D3D12 or GL"
            );
            ExitCode::from(2)
        }
    }
}
