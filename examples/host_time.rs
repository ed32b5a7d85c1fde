//! `cargo run --release --example host_time -- DEVICE FRAMES`: what a frame costs the thread that calls the
//! detector, without the copy of its pixels: the CPU time of `submit_uploaded` and `collect` with as many
//! frames in flight as there may be. The frame is small, so that the device is not waited for long; its
//! recording has the steps of any frame.
//!
//! Linux only: the time that the thread has run is read from `/proc`.

use std::collections::VecDeque;

use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::engine::gpu::GpuFrame;
use mtcmcn::{Config, Detector, Device, Engine};

/// Returns the time that this thread has run, µs.
fn run_time() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1e3
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let Ok(device) = arguments.next().unwrap_or_else(|| "gpu".to_owned()).parse::<Device>();
    let frames: usize = arguments.next().map_or(Ok(200), |text| text.parse())?;
    let engine = Engine::open(&device)?;
    let gpu = engine.gpu().ok_or("the CPU engine has no commands to encode")?.clone();
    let frame = noise_frame();
    let uploaded = (0..Detector::IN_FLIGHT).map(|_| {
        let uploaded = GpuFrame::new(&gpu, frame.width(), frame.height())?;
        uploaded.write(frame.rgba());
        Ok(uploaded)
    });
    let uploaded = uploaded.collect::<Result<Vec<_>, mtcmcn::EngineError>>()?;
    let mut detector = Detector::new(engine, &noise_weights(), Config::default())?;
    let (mut tickets, mut times) = (VecDeque::new(), Vec::new());
    for i in 0..frames + 10 {
        let start = run_time();
        if tickets.len() == Detector::IN_FLIGHT
            && let Some(oldest) = tickets.pop_front()
        {
            detector.collect(oldest)?;
        }
        tickets.push_back(detector.submit_uploaded(&frame, &uploaded[i % uploaded.len()])?);
        times.push(run_time() - start);
    }
    for ticket in tickets {
        detector.collect(ticket)?;
    }
    // The first frames make buffers and compile kernels.
    let mut times = times.split_off(10);
    times.sort_by(f64::total_cmp);
    let dispatches = detector.session(&frame)?.recording().steps().len();
    println!("{}: {:.0} µs a frame (median of {frames}), {dispatches} steps", detector.engine().name(), times[times.len() / 2]);
    Ok(())
}
