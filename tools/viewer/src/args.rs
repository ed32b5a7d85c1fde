//! What can be typed after `mtcmcn-viewer`.

use std::path::PathBuf;

use clap::Parser;

/// See the face detector live: on a camera, images, video or a synthetic scene, stage by stage
#[derive(Debug, Clone, Default, Parser)]
#[command(version, about, max_term_width = 110)]
pub struct Args {
    /// What to look at: `synthetic`, `camera` or `camera:N`, an image, a folder, a video file, or an address
    /// for ffmpeg; if not given, what was open last
    pub source: Option<String>,

    /// Where to search: auto, window (the device that draws), cpu, twin, vulkan, metal, dx12, gl, or part of
    /// an adapter's name
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<String>,

    /// Weights of the three networks, as `mtcmcn import` writes them
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,

    /// Smallest face to look for, px
    #[arg(long, value_name = "PX")]
    pub min_face: Option<f64>,

    /// Folder for snapshots and recordings; made when it is needed
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// File that remembers the settings, instead of the user's own
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,

    /// Begin held, on the first frame
    #[arg(long)]
    pub paused: bool,

    /// End after so many searched frames
    #[arg(long, value_name = "N")]
    pub frames: Option<u64>,

    /// Draw 60 times a second, and write to this file at the end how long the window's frames and the
    /// searches took (JSON)
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}
