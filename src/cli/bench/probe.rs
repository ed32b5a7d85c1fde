//! Fresh processes: how long a user waits for the first faces, and how much memory that takes.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use image::{ImageFormat, RgbaImage};
use mtcmcn::measure::Spread;
use mtcmcn::{Detector, Engine, Frame};
use serde_json::{Value, json};

use super::args::{FrameArgs, ProbeArgs, config};
use super::platform;
use crate::cli::{decode, fetch};

/// Medians over a few fresh processes; memory is the most that any took.
#[derive(Debug, Clone, Copy)]
pub struct ProcessStart {
    /// Opening the engine.
    pub engine: Duration,
    /// Reading and checking the weights.
    pub weights: Duration,
    /// The first frame: recording, compiling and searching.
    pub first: Duration,
    /// From before the process is made until its faces are written.
    pub process: Duration,
    pub peak_bytes: Option<u64>,
}

/// Starts the processes that `args` ask for, each on `device` over `frame` as a PNG file; `None` if they ask
/// for none.
///
/// # Errors
///
/// If the file cannot be written or a process fails.
pub fn starts(args: &FrameArgs, device: &str, frame: &Frame, min_face: f64) -> Result<Option<ProcessStart>> {
    if args.starts == 0 {
        return Ok(None);
    }
    let file = tempfile::Builder::new().prefix("mtcmcn-bench-").suffix(".png").tempfile().context("making a temporary image")?;
    let image = RgbaImage::from_raw(frame.width(), frame.height(), frame.rgba().to_vec()).context("a frame has four bytes a pixel")?;
    image::DynamicImage::from(image).to_rgb8().save_with_format(file.path(), ImageFormat::Png).context("writing a temporary image")?;
    let mut reports = Vec::new();
    for _ in 0..args.starts {
        let mut command = Command::new(std::env::current_exe().context("finding this program")?);
        command.args(["--quiet", "bench", "probe"]).arg(file.path()).args(["--device", device, "--min-face", &min_face.to_string()]);
        args.weights.iter().for_each(|path| _ = command.arg("--weights").arg(path));
        args.engines.threads.iter().for_each(|threads| _ = command.args(["--threads", &threads.to_string()]));
        reports.push(start(command)?);
    }
    let median = |key: &str| {
        let times: Vec<_> = reports.iter().filter_map(|(report, _)| Some(Duration::from_secs_f64(report[key].as_f64()?))).collect();
        Spread::of(&times).map_or(Duration::ZERO, |spread| spread.p50)
    };
    let process: Vec<_> = reports.iter().map(|(_, process)| *process).collect();
    Ok(Some(ProcessStart {
        engine: median("engine"),
        weights: median("weights"),
        first: median("first"),
        process: Spread::of(&process).map_or(Duration::ZERO, |spread| spread.p50),
        peak_bytes: reports.iter().filter_map(|(report, _)| report["peak_bytes"].as_u64()).max(),
    }))
}

/// Runs a probe: what it says, and how long it took to say so.
fn start(mut command: Command) -> Result<(Value, Duration)> {
    let begun = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("starting a fresh process")?;
    let mut line = String::new();
    child.stdout.take().map(BufReader::new).context("a fresh process has an output")?.read_line(&mut line)?;
    let process = begun.elapsed();
    let ended = child.wait_with_output().context("waiting for a fresh process")?;
    match serde_json::from_str(&line) {
        Ok(report) if ended.status.success() => Ok((report, process)),
        _ => bail!("a fresh process failed: {}", String::from_utf8_lossy(&ended.stderr).trim()),
    }
}

/// The fresh process's part.
///
/// # Errors
///
/// As `detect`.
pub fn run(args: &ProbeArgs) -> Result<()> {
    let mut last = Instant::now();
    let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
    let Ok(device) = args.device.parse();
    let engine = Engine::open_with_threads(&device, args.threads.map(|threads| threads as usize))?;
    let opened = lap();
    let weights = fetch::default_weights(args.weights.as_deref())?;
    let mut detector = Detector::new(engine, &weights, config(&weights, args.min_face))?;
    let loaded = lap();
    let frame = decode::read(&args.path, u64::MAX)?;
    let decoded = lap();
    let faces = detector.detect(&frame)?.faces.len();
    let first = lap();
    let peak = platform::peak_bytes();
    let report = json!({ "engine": opened, "weights": loaded, "decode": decoded, "first": first, "faces": faces, "peak_bytes": peak });
    writeln!(std::io::stdout(), "{report}")?;
    Ok(())
}
