//! What was measured, for people and for machines.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::Duration;

use anyhow::{Context as _, Result};
use mtcmcn::engine::gpu::AdapterReport;
use mtcmcn::engine::profile::Clock;
use mtcmcn::measure::{Ceilings, Line, Rates, Spread};
use serde_json::{Value, json};

use super::run::{Measured, TimedStep};
use super::{engines, platform};

/// An engine as reports name it.
pub struct NamedEngine {
    pub name: String,
    pub adapter: Option<AdapterReport>,
    /// Of the CPU engine; what a software adapter does is the driver's affair.
    pub threads: Option<usize>,
    /// Measured for a profile.
    pub ceilings: Option<Ceilings>,
}

/// Prints `text`, or with `--json` the `objects`, one a line, at once.
pub fn print(json: bool, text: impl FnOnce() -> String, objects: impl FnOnce() -> Vec<Value>) -> Result<()> {
    let text = if json { objects().iter().map(|object| format!("{object}\n")).collect() } else { text() };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).context("writing results to standard output")
}

/// Says on standard error what could not be done.
pub fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "mtcmcn: {text}");
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The first lines: what all figures below depend on.
pub fn heading(machine: &str, energy: bool, settings: &str) -> String {
    let energy = if energy { "energy told" } else { "energy not told" };
    format!("mtcmcn {} on {machine}; {energy}\n{settings}\n", env!("CARGO_PKG_VERSION"))
}

/// Before an engine's rows.
pub fn engine_heading(engine: &NamedEngine, in_flight: usize, together: usize) -> String {
    let mut text = format!("\n{}\n", engine_line(engine));
    let latency = "one frame at a time, ms";
    let _ = writeln!(text, "  {:>9} {:>5} {latency:^27} {:^40}", "", "", "frames a second");
    let columns = ["p50", "p90", "p99"].map(|name| format!("{name:>8}")).join(" ");
    let (flight, together) = (format!("{in_flight} in flight"), format!("{together} a recording"));
    let _ = writeln!(text, "  {:>9} {:>5} {columns} {:>13} {flight:>13} {together:>13}", "frame", "face", "one at a time");
    text
}

/// The engine, with its adapter and driver or its threads.
pub fn engine_line(engine: &NamedEngine) -> String {
    match &engine.adapter {
        Some(adapter) => {
            let kind = if adapter.hardware { "hardware" } else { "software" };
            format!("{}, {kind}, driver {}", engine.name, adapter.driver)
        }
        None => match engine.threads.unwrap_or(1) {
            1 => format!("{}, one thread", engine.name),
            threads => format!("{}, {threads} threads", engine.name),
        },
    }
}

/// Times of one setting.
pub fn times_row(m: &Measured) -> String {
    let columns = [m.latency.p50, m.latency.p90, m.latency.p99].map(|time| format!("{:8.2}", ms(time))).join(" ");
    let (size, face) = (m.size, m.config.min_face_px);
    format!("  {size:>9} {face:>5} {columns} {:13.1} {:13.1} {:13.1}\n", m.fps(), m.in_flight.fps, m.together.fps)
}

/// Below an engine's rows: candidates and costs of each setting; what goes over a bus only where there is
/// one.
pub fn costs(measured: &[Measured], gpu: bool) -> String {
    let asked = |m: &Measured| {
        let (tally, kib) = (m.tally, |bytes: u64| bytes as f64 / 1024.0);
        format!(
            "{:10} {:7} {:9} {:8.0} {:8.1}",
            tally.dispatches,
            tally.submissions,
            tally.read_backs,
            kib(tally.bytes_up),
            kib(tally.bytes_down)
        )
    };
    let (wide, names) = if gpu { (46, "dispatches submits readbacks   KiB up KiB down") } else { (6, " steps") };
    let mut text = String::new();
    let _ = writeln!(text, "\n  {:15} {:^29} {:^wide$} {:^19}", "", "candidates per frame", "each", "a fresh process");
    let head = format!("{:>7} {:>6} {:>6} {:>7}", "cells", "R-Net", "O-Net", "faces");
    let _ = writeln!(text, "  {:>9} {:>5} {head} {names} {:>10} {:>8}", "frame", "face", "faces, ms", "peak MiB");
    for m in measured {
        let [cells, _, merged, _, rnet_nms, _, faces] = m.candidates;
        let head = format!("{cells:7.0} {merged:6.0} {rnet_nms:6.0} {faces:7.1}");
        let each = if gpu { asked(m) } else { format!("{:6}", m.steps) };
        let start = m.start.map_or_else(|| "-".to_owned(), |start| format!("{:.0}", ms(start.process)));
        let peak =
            m.start.and_then(|start| start.peak_bytes).map_or_else(|| "-".to_owned(), |bytes| format!("{:.0}", bytes as f64 / 1048576.0));
        let (size, face) = (m.size, m.config.min_face_px);
        let joules = m.joules.map_or_else(String::new, |joules| format!("  {joules:.3} J a frame"));
        let full = if m.truncated { "  lists full: some candidates were dropped" } else { "" };
        let _ = writeln!(text, "  {size:>9} {face:>5} {head} {each} {start:>10} {peak:>8}{joules}{full}");
    }
    text
}

/// Every step of one setting, steps that are alike in one row.
pub fn profile(m: &Measured, ceilings: Option<&Ceilings>) -> String {
    let total: Duration = m.profile.iter().map(|step| step.time).sum();
    let clock = match m.profile.first().map(|step| step.clock) {
        Some(Clock::Device) => "by the device's timestamps",
        _ => "by the host's clock",
    };
    let mut text =
        format!("\n  {} with faces from {} px, step by step {clock}: {:.2} ms in all\n", m.size, m.config.min_face_px, ms(total));
    if let Some(c) = ceilings {
        let (gflops, gbytes) = (c.multiply_adds_per_second * 2e-9, c.bytes_per_second * 1e-9);
        let _ = writeln!(text, "  at best: {gflops:.1} GFLOP/s (multiply-adds alone), {gbytes:.1} GB/s (a copy)");
    }
    let _ = writeln!(
        text,
        "  {:>4} {:18} {:>5} {:>8} {:>10} {:>10} {:>6} {:>9} {:>8} {:>8} {:>8}",
        "step", "kernel", "times", "items", "µs", "floor, µs", "share", "GFLOP/s", "of peak", "GB/s", "of copy"
    );
    for (step, times) in &rows(&m.profile) {
        let rates = rates(step, ceilings);
        let or_dash = |value: Option<f64>, digits: usize| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"));
        let percent = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.0} %", value * 100.0));
        let share = step.time.as_secs_f64() / total.as_secs_f64().max(1e-12);
        let _ = writeln!(
            text,
            "  {:4} {:18} {times:5} {:8} {:10.1} {:>10} {:>6} {:>9} {:>8} {:>8} {:>8}",
            step.index,
            step.kernel,
            step.items,
            ms(step.time) * 1e3,
            or_dash(floor(step, ceilings), 1),
            percent(Some(share)),
            or_dash(rates.gflops, 1),
            percent(rates.of_peak),
            or_dash(rates.gbytes_per_second, 2),
            percent(rates.of_bandwidth),
        );
    }
    let floors: Option<f64> = m.profile.iter().map(|step| floor(step, ceilings)).sum();
    if let Some(floors) = floors {
        let _ = writeln!(text, "  {:4} {:18} {:5} {:8} {:10.1} {floors:10.1}", "", "all steps", "", "", ms(total) * 1e3);
    }
    text += "  floor: the multiply-adds of a step at the peak rate, or its bytes at that of a copy, whichever takes longer; a step that is far\n  \
             above it waits for something else: for its launch, for memory that is far apart, or for other steps\n";
    text += "  over 100 %: what a step reads was in a cache, which is faster than the copy in memory, or its kernel has an easier mix than the\n  \
             measured peak; both are measured on this machine beside other work\n";
    text
}

/// Steps that are alike added up, with how many they are.
fn rows(steps: &[TimedStep]) -> Vec<(TimedStep, u32)> {
    let mut rows: Vec<(TimedStep, u32)> = Vec::new();
    for step in steps {
        let Some((sum, times)) = rows.iter_mut().find(|(row, _)| row.index == step.first) else {
            rows.push((step.clone(), 1));
            continue;
        };
        *times += 1;
        sum.items += step.items;
        sum.time += step.time;
        sum.multiply_adds += step.multiply_adds;
        sum.bytes += step.bytes;
    }
    rows
}

fn rates(step: &TimedStep, ceilings: Option<&Ceilings>) -> Rates {
    Rates::of(step.multiply_adds, step.bytes, step.time, ceilings)
}

/// Shortest time for the work of a step at the measured ceilings, µs.
fn floor(step: &TimedStep, ceilings: Option<&Ceilings>) -> Option<f64> {
    ceilings.map(|ceilings| ms(ceilings.floor(step.multiply_adds, step.bytes)) * 1e3)
}

/// The end: every engine at every setting against the paper.
pub fn verdict(all: &[(NamedEngine, Vec<Measured>)]) -> String {
    let [gpu, cpu] = engines::CLAIMS;
    let mut text =
        format!("\nAgainst the paper, which claims {gpu} frames/s on a GPU and {cpu} on a CPU and names neither frame nor face size:\n");
    for (engine, measured) in all.iter().filter(|(_, measured)| !measured.is_empty()) {
        let (claim, kind) = engines::claim(engine.adapter.as_ref());
        let _ = writeln!(text, "\n  {}, held against the paper on {kind}", engine.name);
        let (on_cpu, on_gpu) = (format!("x {cpu} (CPU)"), format!("x {gpu} (GPU)"));
        let _ = writeln!(text, "  {:>9} {:>5} {:>9} {on_cpu:>11} {on_gpu:>11}", "frame", "face", "frames/s");
        for m in measured {
            let (size, face, fps) = (m.size, m.config.min_face_px, m.fps());
            let verdict = if fps >= claim { "faster" } else { "SLOWER" };
            let _ = writeln!(text, "  {size:>9} {face:>5} {fps:9.1} {:11.2} {:11.2}  {verdict}", fps / cpu, fps / gpu);
        }
        let held = measured.iter().filter(|m| m.fps() >= claim).count();
        let _ = writeln!(text, "  faster at {held} of {} settings", measured.len());
    }
    text
}

/// Time against pyramid pixels at one smallest face, over all frame sizes.
pub struct Growth {
    pub min_face: f64,
    /// Pyramid pixels and seconds, by frame size.
    pub points: Vec<[f64; 2]>,
    pub line: Line,
}

/// How time grows with pyramid pixels, for every smallest face that was searched for at three sizes or more.
pub fn growth(measured: &[Measured]) -> Vec<Growth> {
    let mut faces: Vec<f64> = measured.iter().map(|m| m.config.min_face_px).collect();
    faces.sort_by(f64::total_cmp);
    faces.dedup();
    let one = |min_face: f64| {
        let sizes = measured.iter().filter(|m| m.config.min_face_px == min_face);
        let points: Vec<_> = sizes.map(|m| [m.pyramid_pixels as f64, m.latency.p50.as_secs_f64()]).collect();
        Line::through(&points).map(|line| Growth { min_face, points, line })
    };
    faces.into_iter().filter_map(one).collect()
}

/// A line per smallest face.
pub fn growth_text(all: &[Growth]) -> String {
    let mut text = String::new();
    for g in all {
        let each = |at: fn(&[f64; 2]) -> String| g.points.iter().map(at).collect::<Vec<_>>().join(" ");
        let (pixels, times) = (each(|[pixels, _]| format!("{:.2}", pixels / 1e6)), each(|[_, time]| format!("{:.1}", time * 1e3)));
        let (fixed, ns, worst) = (g.line.fixed * 1e3, g.line.each * 1e9, g.line.worst * 100.0);
        let _ = writeln!(
            text,
            "\n  faces from {} px: {times} ms for {pixels} million pyramid pixels\n  \
             nearest line: {fixed:.2} ms + {ns:.1} ns a pixel; the farthest time is {worst:.0} % off it",
            g.min_face
        );
    }
    text
}

pub fn growth_json(engine: &NamedEngine, all: &[Growth]) -> Vec<Value> {
    let each = all.iter().map(|g| {
        json!({
            "kind": "growth", "engine": engine.name, "min_face": g.min_face, "pyramid_pixels": g.points.iter().map(|p| p[0]).collect::<Vec<_>>(),
            "ms": g.points.iter().map(|p| p[1] * 1e3).collect::<Vec<_>>(), "fixed_ms": g.line.fixed * 1e3,
            "ns_per_pixel": g.line.each * 1e9, "worst": g.line.worst,
        })
    });
    each.collect()
}

pub fn machine_json(threads: usize) -> Value {
    json!({
        "kind": "machine", "version": env!("CARGO_PKG_VERSION"), "cpu": platform::cpu(), "cores": platform::cores(),
        "threads": threads, "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "energy": platform::Energy::find().is_some(),
    })
}

/// An adapter, `null` for the CPU engine.
pub fn adapter_json(adapter: Option<&AdapterReport>) -> Value {
    adapter.map_or(Value::Null, |a| json!({ "name": a.name, "backend": a.backend, "driver": a.driver, "hardware": a.hardware }))
}

fn spread_json(spread: &Spread) -> Value {
    json!({
        "count": spread.count, "p50": ms(spread.p50), "p90": ms(spread.p90), "p99": ms(spread.p99),
        "least": ms(spread.least), "most": ms(spread.most), "mean": ms(spread.mean),
    })
}

/// One setting, and its steps if they were timed: one object a line.
pub fn measured_json(engine: &NamedEngine, source: &str, m: &Measured) -> Vec<Value> {
    let config = &m.config;
    let [cells, level_nms, merged, rnet, rnet_nms, onet, faces] = m.candidates;
    let (claim, _) = engines::claim(engine.adapter.as_ref());
    let dispatches = if engine.adapter.is_some() { m.tally.dispatches } else { m.steps as u64 };
    let start =
        m.start.map(|s| json!({ "engine": ms(s.engine), "weights": ms(s.weights), "first": ms(s.first), "process": ms(s.process) }));
    let setting = json!({
        "kind": "setting", "engine": engine.name, "adapter": adapter_json(engine.adapter.as_ref()), "threads": engine.threads,
        "source": source, "width": m.size.width, "height": m.size.height, "min_face": m.config.min_face_px, "factor": config.factor,
        "thresholds": config.thresholds.map(|t| (f64::from(t) * 1e6).round() / 1e6),
        "latency_ms": spread_json(&m.latency), "fps": m.fps(),
        "in_flight": { "frames": m.in_flight.frames, "fps": m.in_flight.fps },
        "together": { "frames": m.together.frames, "fps": m.together.fps },
        "candidates": {
            "cells": cells, "level_nms": level_nms, "merged": merged, "rnet": rnet, "rnet_nms": rnet_nms, "onet": onet, "faces": faces,
        },
        "truncated": m.truncated,
        "per_frame": {
            "dispatches": dispatches, "submissions": m.tally.submissions, "read_backs": m.tally.read_backs,
            "bytes_up": m.tally.bytes_up, "bytes_down": m.tally.bytes_down,
        },
        "pyramid_pixels": m.pyramid_pixels, "start_ms": start, "peak_bytes": m.start.and_then(|start| start.peak_bytes),
        "joules_per_frame": m.joules, "claim_fps": claim, "times_claim": m.fps() / claim,
    });
    let steps = m.profile.iter().map(|step| {
        let rates = rates(step, engine.ceilings.as_ref());
        json!({
            "kind": "step", "engine": engine.name, "width": m.size.width, "height": m.size.height, "min_face": m.config.min_face_px,
            "step": step.index, "kernel": step.kernel, "items": step.items, "microseconds": ms(step.time) * 1e3,
            "clock": if step.clock == Clock::Device { "device" } else { "host" }, "gflops": rates.gflops, "gbytes_per_s": rates.gbytes_per_second,
            "of_peak": rates.of_peak, "of_bandwidth": rates.of_bandwidth, "floor_microseconds": floor(step, engine.ceilings.as_ref()),
        })
    });
    std::iter::once(setting).chain(steps).collect()
}
