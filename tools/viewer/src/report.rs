//! How the window itself kept up: times of its frames, for `--report`.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::stats::quantile;

/// Frames of the window that are kept.
const KEPT: usize = 20_000;

/// Times of the window's frames.
#[derive(Debug, Default)]
pub struct FrameTimes {
    /// From one frame to the next, ms.
    intervals: VecDeque<f64>,
    /// Spent on one frame, layout and drawing, without waiting for the display, ms.
    work: VecDeque<f64>,
    last: Option<Instant>,
}

/// Median, 95th percentile and maximum, ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    p50: f64,
    p95: f64,
    max: f64,
}

impl FrameTimes {
    /// A frame begins; `work` is what the last one took, s.
    pub fn push(&mut self, now: Instant, work: Option<f32>) {
        if let Some(last) = self.last.replace(now) {
            keep(&mut self.intervals, now.saturating_duration_since(last).as_secs_f64() * 1e3);
        }
        if let Some(work) = work {
            keep(&mut self.work, f64::from(work) * 1e3);
        }
    }
}

fn keep(values: &mut VecDeque<f64>, value: f64) {
    if values.len() >= KEPT {
        values.pop_front();
    }
    values.push_back(value);
}

fn spread(values: &VecDeque<f64>) -> Option<Spread> {
    let at = |share| quantile(values.iter().copied().collect(), share);
    Some(Spread { p50: at(0.5)?, p95: at(0.95)?, max: at(1.0)? })
}

/// What is written at the end.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Frames that the window drew.
    pub window_frames: usize,
    /// From one to the next.
    pub window_interval_ms: Option<Spread>,
    /// Layout and drawing.
    pub window_work_ms: Option<Spread>,
    /// What searched.
    pub engine: String,
    /// Frames searched since the start.
    pub searched: u64,
    /// Frames that the source gave.
    pub given: u64,
    /// Of these, replaced unseen.
    pub dropped: u64,
    /// Median latency of the last few hundred searches.
    pub latency_ms_p50: Option<f64>,
    /// Their 95th percentile.
    pub latency_ms_p95: Option<f64>,
}

impl Report {
    /// The window's part of a report.
    pub fn new(times: &FrameTimes) -> Self {
        Self {
            window_frames: times.intervals.len(),
            window_interval_ms: spread(&times.intervals),
            window_work_ms: spread(&times.work),
            engine: String::new(),
            searched: 0,
            given: 0,
            dropped: 0,
            latency_ms_p50: None,
            latency_ms_p95: None,
        }
    }

    /// Writes it as JSON, whole or not at all.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        mtcmcn::files::write_whole(path, (serde_json::to_string_pretty(self).map_err(io::Error::other)? + "\n").as_bytes())
            .map_err(io::Error::other)
    }
}
