//! What can be typed after `mtcmcn bench`, and what it means.

use std::path::PathBuf;
use std::str::FromStr;

use mtcmcn::{Config, Weights};

/// Measure how fast faces are found here, on every engine, at every setting
///
/// Times whole frames, from packed pixels in memory to faces in memory, on each engine chosen, at each frame
/// size with each smallest face: first one frame at a time, then several in flight, then as many in a
/// recording as the engine searches together. Before each timing, frames are run to warm up. Beside it are
/// told: how many candidates each network sees, what a frame costs in dispatches, submissions, read-backs and
/// bytes, and, from fresh processes that each find the faces of one image file, the time from process start
/// to first faces and the peak memory.
///
/// Ends with a verdict per engine and setting against the paper this program follows, which claims 99
/// frames/s on a GPU and 16 on a CPU without saying at what size. A software adapter is held against the
/// CPU's figure.
///
/// Without PATH a synthetic scene is searched: a portrait in the public domain pasted at eight sizes on a
/// background of noise, the same on every machine.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, after_help = AFTER, after_long_help = AFTER_LONG)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub other: Option<Other>,

    #[command(flatten)]
    pub frames: FrameArgs,
}

pub const AFTER: &str = "Exit codes: 0 measured, 2 bad usage or something could not be measured.";

const AFTER_LONG: &str = "\
Exit codes: 0 measured, 2 bad usage or something could not be read or measured (the rest is measured all the same).

With --json, one object a line on standard output:
  {\"kind\":\"machine\", version, cpu, cores, threads, os, arch, energy}
  {\"kind\":\"setting\", engine, adapter|null, threads|null, source, width, height, min_face,
   factor, thresholds, latency_ms {count,p50,p90,p99,least,most,mean}, fps,
   in_flight {frames,fps}, together {frames,fps},
   candidates {cells,level_nms,merged,rnet,rnet_nms,onet,faces}, truncated,
   per_frame {dispatches,submissions,read_backs,bytes_up,bytes_down}, pyramid_pixels,
   start_ms {engine,weights,first,process}, peak_bytes|null, joules_per_frame|null,
   claim_fps, times_claim}
  {\"kind\":\"step\", engine, width, height, min_face, step, kernel, items, microseconds,
   clock, gflops, gbytes_per_s, of_peak, of_bandwidth,
   floor_microseconds}                                                with --profile
  {\"kind\":\"growth\", engine, min_face, pyramid_pixels [], ms [], fixed_ms,
   ns_per_pixel, worst}                                               with three sizes or more
  {\"kind\":\"failure\", engine, width, height, min_face, error}
Unknown values are null. `candidates` are means over the frames. `start_ms.process` is from
before the process is made until its faces are written.

Measure on a quiet machine: where times of one setting spread widely (p50 to p99), another run
may tell something else.";

/// What else `bench` measures.
#[derive(Debug, clap::Subcommand)]
pub enum Other {
    Table1(Table1Args),
    #[command(hide = true)]
    Probe(ProbeArgs),
}

/// What to time, and how.
#[derive(Debug, clap::Args)]
pub struct FrameArgs {
    /// Images, or directories to search for images; if none, a synthetic scene
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,

    /// Frame sizes, as 640x480 or a list; images are scaled to fit and padded. By default images keep their
    /// own size, and the synthetic scene is made at 640x480, 1280x720 and 1920x1080
    #[arg(long, value_name = "WxH", value_delimiter = ',', help_heading = "Settings")]
    pub size: Vec<Size>,

    /// Smallest faces to look for, in pixels
    #[arg(long, value_name = "PX", value_delimiter = ',', allow_negative_numbers = true, value_parser = min_face,
        default_values_t = [20.0, 40.0, 80.0], help_heading = "Settings")]
    pub min_face: Vec<f64>,

    #[command(flatten)]
    pub engines: EngineArgs,

    /// Weights of the three networks, as for `detect`
    #[arg(long, value_name = "FILE", help_heading = "Settings")]
    pub weights: Option<PathBuf>,

    /// Seconds that each timing goes on for, at least; ten frames are timed whatever they take
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = seconds, default_value_t = 2.0, conflicts_with = "frames",
        help_heading = "Timing")]
    pub seconds: f64,

    /// Time exactly this many frames instead
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), help_heading = "Timing")]
    pub frames: Option<u32>,

    /// Frames before each timing
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = "Timing")]
    pub warm_up: u32,

    /// Fresh processes that are started for start-up time and peak memory; 0 leaves both out
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(0..=100), help_heading = "Timing")]
    pub starts: u32,

    /// Also time every step of the cascade: by the device's own timestamps where it has them
    #[arg(long, help_heading = "Timing")]
    pub profile: bool,

    /// Print JSON, one object a line
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// Draw frames/s and latency with the two claims as lines, into this directory: fps.png, fps.svg,
    /// latency.png, latency.svg
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub chart: Option<PathBuf>,
}

/// Which engines, and with how many threads.
#[derive(Debug, clap::Args)]
pub struct EngineArgs {
    /// What to run on: cpu, gpu, vulkan, metal, dx12, gl, part of an adapter's name, a list of these, or
    /// `all`; by default the CPU engine and a hardware GPU if there is one
    #[arg(long, value_name = "DEVICE", value_delimiter = ',', help_heading = "Settings")]
    pub device: Vec<String>,

    /// Threads of the CPU engine; by default one per core. A software adapter has its own (Mesa:
    /// `LP_NUM_THREADS`)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024), help_heading = "Settings")]
    pub threads: Option<u32>,
}

/// Compare the nets of the paper's Table 1: 300 forward passes of 12-, 24- and 48-Net against P-, R- and
/// O-Net
///
/// Each net is loaded alone, its input is on the device already; after passes to warm up, the wall time from
/// the first to the completion of the last pass is told, with a batch of one crop and of 64. The rivals run
/// by themselves and with their branches (each sees the crop at half the size through the net before it),
/// made of the same layers and kernels as our nets. Beside ours stand the paper's times and accuracies and
/// those of the original paper; neither says on which device or with which batch. Columns: s for all passes,
/// x times our net's of the same group, % accuracy.
///
/// Weights are noise: they do not change the time. Accuracies are those of `mtcmcn train experiment table1`,
/// which trains the nets on one list of crops: balanced validation crops, the rivals by themselves, the mean
/// over seeds.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER, after_long_help = TABLE1_AFTER_LONG)]
pub struct Table1Args {
    #[command(flatten)]
    pub engines: EngineArgs,

    /// Crops in a batch
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1, 64], value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub batch: Vec<u32>,

    /// Passes that are timed together
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub passes: u32,

    /// Passes before that
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub warm_up: u32,

    /// Accuracies for the table: the `accuracy.json` in the folder of `mtcmcn train experiment table1`
    #[arg(long, value_name = "FILE")]
    pub accuracy: Option<PathBuf>,

    /// Print JSON, one object a line
    #[arg(long)]
    pub json: bool,
}

const TABLE1_AFTER_LONG: &str = "\
Exit codes: 0 measured, 2 bad usage or something could not be measured (the rest is measured all the same).

With --json, one object a line on standard output:
  {\"kind\":\"machine\", ...} as for `bench`
  {\"kind\":\"table1\", engine, adapter|null, threads|null, group, net, rival, parameters,
   multiply_adds, batch, passes, seconds, times_ours, paper {seconds,accuracy}|null,
   original {seconds,accuracy}|null, accuracy {mean,deviation|null}|null}; accuracies in %";

/// A fresh process that finds the faces of one image and says how long that took: for `start_ms` and
/// `peak_bytes`.
#[derive(Debug, clap::Args)]
pub struct ProbeArgs {
    pub path: PathBuf,
    #[arg(long)]
    pub device: String,
    #[arg(long)]
    pub min_face: f64,
    #[arg(long)]
    pub weights: Option<PathBuf>,
    #[arg(long)]
    pub threads: Option<u32>,
}

/// Width and height of a frame, px.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!("{}x{}", self.width, self.height);
        f.pad(&text)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (12..=16_384).contains(side));
        let sides = text.split_once(['x', 'X']).and_then(|(width, height)| Some((side(width)?, side(height)?)));
        let (width, height) = sides.ok_or("two sides from 12 to 16384 are needed, as in 640x480")?;
        Ok(Self { width, height })
    }
}

/// The settings of a cascade of `weights` with this smallest face.
pub fn config(weights: &Weights, min_face_px: f64) -> Config {
    let mut config = Config::for_weights(weights);
    config.min_face_px = min_face_px;
    config
}

fn min_face(text: &str) -> Result<f64, String> {
    let value = text.parse().map_err(|_| "not a number")?;
    let mut config = Config::default();
    config.min_face_px = value;
    config.validate().map_err(|error| format!("must be {}", error.range))?;
    Ok(value)
}

fn seconds(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number")?;
    if value > 0.0 && value <= 3600.0 { Ok(value) } else { Err("must be over 0 and at most 3600".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_settings_out_of_range_are_refused() {
        assert_eq!("1280x720".parse(), Ok(Size { width: 1280, height: 720 }));
        for text in ["", "640", "640x", "x480", "640*480", "11x480", "640x99999", "-640x480", "640x480x3"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["0", "-1", "nan", "inf", "x"] {
            assert!(min_face(text).is_err() && seconds(text).is_err(), "{text}");
        }
    }
}
