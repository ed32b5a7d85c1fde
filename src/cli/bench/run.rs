//! One engine at one setting: what is measured, and in which order.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use mtcmcn::engine::profile::{Clock, Tally};
use mtcmcn::kernels::select::Settle;
use mtcmcn::measure::Spread;
use mtcmcn::record::{Access, Kernel as _, Recording};
use mtcmcn::{Config, Detections, Detector, Engine, Frame, Weights};

use super::args::{FrameArgs, Size, config};
use super::frames::Group;
use super::platform::Energy;
use super::probe::{self, ProcessStart};

/// An engine with all that its measurements need.
pub struct Bench<'a> {
    pub args: &'a FrameArgs,
    pub engine: &'a Engine,
    /// What `--device` of another process would call it.
    pub device: &'a str,
    pub weights: &'a Weights,
    pub energy: Option<&'a Energy>,
}

/// Frames searched together or at once, and how many of them a second.
#[derive(Debug, Clone, Copy)]
pub struct Throughput {
    pub frames: usize,
    pub fps: f64,
}

/// One step of the cascade.
#[derive(Debug, Clone)]
pub struct TimedStep {
    pub index: usize,
    /// The first step of the same kernel in the same stage that writes the same slot: the CPU engine goes
    /// through a net band by band.
    pub first: usize,
    pub kernel: &'static str,
    pub items: u32,
    /// The median of a few plays.
    pub time: Duration,
    pub clock: Clock,
    pub multiply_adds: u64,
    /// What the kernel names, each element once.
    pub bytes: u64,
}

/// One engine at one setting.
pub struct Measured {
    pub size: Size,
    pub config: Config,
    pub latency: Spread,
    pub in_flight: Throughput,
    pub together: Throughput,
    /// Mean over the frames of cells, level NMS, merged, R-Net, R-Net NMS, O-Net, faces.
    pub candidates: [f64; 7],
    pub truncated: bool,
    /// Steps of a recording.
    pub steps: usize,
    /// What one frame asks of a device; zero on the CPU engine.
    pub tally: Tally,
    pub pyramid_pixels: u64,
    pub start: Option<ProcessStart>,
    pub joules: Option<f64>,
    pub profile: Vec<TimedStep>,
}

impl Measured {
    /// Frames a second, one at a time.
    pub fn fps(&self) -> f64 {
        1.0 / self.latency.p50.as_secs_f64().max(1e-9)
    }
}

/// Frames timed at least, unless `--frames` says how many.
const LEAST: usize = 10;
/// Plays of which a profile is the median.
const PLAYS: usize = 5;

impl Bench<'_> {
    /// Measures everything for the frames of `group` with this smallest face.
    ///
    /// # Errors
    ///
    /// If a frame cannot be searched, or no process can be started.
    pub fn measure(&self, group: &Group, min_face: f64) -> Result<Measured> {
        let frames = &group.frames;
        let first = frames.first().context("there is no frame")?;
        let settings = config(self.weights, min_face);
        let pyramid_pixels = settings.pyramid_pixels(first.width(), first.height());
        let mut detector = Detector::new(self.engine.clone(), self.weights, settings.clone())?;

        let (candidates, truncated) = self.warm_up(&mut detector, frames)?;
        let before = self.engine.tally();
        detector.detect(first)?;
        let tally = self.engine.tally() - before;

        let joules = self.energy.map(|energy| (energy, energy.read()));
        let times = self.latencies(&mut detector, frames)?;
        let joules = joules.map(|(energy, before)| energy.since(&before) / times.len().max(1) as f64);
        let in_flight = Self::in_flight(&mut detector, frames, times.len())?;
        let together = Self::together(&mut detector, frames, times.len())?;
        let (steps, profile) = self.profile(&detector, first)?;
        drop(detector);
        let start = probe::starts(self.args, self.device, first, min_face)?;
        let latency = Spread::of(&times).context("no frame was timed")?;
        let size = group.size;
        Ok(Measured {
            size,
            config: settings,
            latency,
            in_flight,
            together,
            candidates,
            truncated,
            steps,
            tally,
            pyramid_pixels,
            start,
            joules,
            profile,
        })
    }

    /// Searches every frame at least once; means of what each step left.
    fn warm_up(&self, detector: &mut Detector, frames: &[Frame]) -> Result<([f64; 7], bool)> {
        let (mut sums, mut truncated) = ([0.0; 7], false);
        for (i, frame) in frames.iter().cycle().take(frames.len().max(self.args.warm_up as usize)).enumerate() {
            let found = detector.detect(frame)?;
            if i < frames.len() {
                truncated |= found.truncated;
                sums.iter_mut().zip(counts(&found)).for_each(|(sum, count)| *sum += f64::from(count) / frames.len() as f64);
            }
        }
        Ok((sums, truncated))
    }

    /// One frame at a time, for as long as the arguments say.
    fn latencies(&self, detector: &mut Detector, frames: &[Frame]) -> Result<Vec<Duration>> {
        let begun = Instant::now();
        let mut times = Vec::new();
        for frame in frames.iter().cycle() {
            let enough = match self.args.frames {
                Some(frames) => times.len() >= frames as usize,
                None => times.len() >= LEAST && begun.elapsed().as_secs_f64() >= self.args.seconds,
            };
            if enough {
                break;
            }
            let start = Instant::now();
            detector.detect(frame)?;
            times.push(start.elapsed());
        }
        Ok(times)
    }

    fn in_flight(detector: &mut Detector, frames: &[Frame], count: usize) -> Result<Throughput> {
        let (start, mut tickets) = (Instant::now(), VecDeque::new());
        for frame in frames.iter().cycle().take(count) {
            if tickets.len() >= Detector::IN_FLIGHT
                && let Some(oldest) = tickets.pop_front()
            {
                detector.collect(oldest)?;
            }
            tickets.push_back(detector.submit(frame)?);
        }
        for ticket in tickets {
            detector.collect(ticket)?;
        }
        Ok(Throughput { frames: Detector::IN_FLIGHT, fps: count as f64 / start.elapsed().as_secs_f64() })
    }

    /// Frames that are all at hand, as many together as the engine likes, in whole recordings.
    fn together(detector: &mut Detector, frames: &[Frame], count: usize) -> Result<Throughput> {
        let together = detector.together();
        let search = |detector: &mut Detector, count: usize| {
            detector.detect_stream(frames.iter().cycle().take(count)).try_for_each(|found| found.map(drop))
        };
        search(detector, together)?;
        let (start, count) = (Instant::now(), count.next_multiple_of(together));
        search(detector, count)?;
        Ok(Throughput { frames: together, fps: count as f64 / start.elapsed().as_secs_f64() })
    }

    /// The number of steps, and if asked for the time of each.
    fn profile(&self, detector: &Detector, frame: &Frame) -> Result<(usize, Vec<TimedStep>)> {
        let mut session = detector.session(frame)?;
        let steps = session.recording().steps().len();
        if !self.args.profile {
            return Ok((steps, Vec::new()));
        }
        session.play()?;
        let plays = (0..PLAYS).map(|_| session.profile()).collect::<Result<Vec<_>, _>>()?;
        let median = |index: usize| {
            let times: Vec<_> = plays.iter().map(|play| play.steps[index].time).collect();
            Spread::of(&times).map_or(Duration::ZERO, |spread| spread.p50)
        };
        let alike = alike(session.recording());
        let timed = session.recording().steps().iter().zip(&plays[0].steps).enumerate().map(|(index, (step, first))| TimedStep {
            index,
            first: alike[index],
            kernel: step.kernel.name(),
            items: first.items,
            time: median(index),
            clock: plays[0].clock,
            multiply_adds: step.kernel.multiply_adds(first.items),
            bytes: step.bytes(session.recording(), first.items),
        });
        Ok((steps, timed.collect()))
    }
}

/// For each step the first that is alike; a stage ends with what settles its list.
fn alike(recording: &Recording) -> Vec<usize> {
    let (mut stage, mut firsts) = (0, HashMap::new());
    let each = recording.steps().iter().enumerate().map(|(index, step)| {
        let written = step.bound().find(|(_, binding)| binding.access != Access::Read).map(|(slot, _)| slot);
        let first = *firsts.entry((stage, step.kernel.name(), written)).or_insert(index);
        stage += usize::from(step.kernel.name() == Settle::NAME);
        first
    });
    each.collect()
}

fn counts(found: &Detections) -> [u32; 7] {
    let c = found.counts;
    [c.cells, c.level_nms, c.merged, c.rnet, c.rnet_nms, c.onet, c.faces]
}
