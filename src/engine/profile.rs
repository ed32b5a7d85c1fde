//! Timing of every step of a recording, and counters of the work submitted to a device.

use std::time::{Duration, Instant};

use super::{EngineError, Player, Session};

/// The clock that timed a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Timestamps that the device took around the step.
    Device,
    /// The host's clock. On a GPU without timestamps each step is then a separate submission for which the
    /// host waits, so that its time includes some 10 to 100 µs of driver overhead; on the CPU engine the time
    /// is exact.
    Host,
}

/// Timing of one step of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// Duration of the step.
    pub time: Duration,
    /// Number of items processed: counted on the device, or all items of the kernel.
    pub items: u32,
}

/// Timing of one play of a recording, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// One entry per step of the recording, in order.
    pub steps: Vec<StepTime>,
    /// The clock that timed the steps.
    pub clock: Clock,
}

/// Counters of the work that an engine has submitted to its device since it was opened. Clones of an engine
/// share them; those of the CPU engine stay zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Number of compute dispatches.
    pub dispatches: u64,
    /// Number of submissions of commands.
    pub submissions: u64,
    /// Number of buffers mapped and read by the host.
    pub read_backs: u64,
    /// Number of bytes written to the device.
    pub bytes_up: u64,
    /// Number of bytes read from the device.
    pub bytes_down: u64,
}

impl std::ops::Sub for Tally {
    type Output = Self;

    /// Returns the difference from the counters at an earlier time.
    fn sub(self, earlier: Self) -> Self {
        Self {
            dispatches: self.dispatches - earlier.dispatches,
            submissions: self.submissions - earlier.submissions,
            read_backs: self.read_backs - earlier.read_backs,
            bytes_up: self.bytes_up - earlier.bytes_up,
            bytes_down: self.bytes_down - earlier.bytes_down,
        }
    }
}

impl Session {
    /// Plays every step once and returns the duration of each. The sum is longer than the duration of
    /// [`Session::play`], where steps overlap on a GPU and the CPU engine passes a few items at a time
    /// through several steps while they are in cache.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn profile(&mut self) -> Result<Profile, EngineError> {
        let steps = self.recording.steps();
        let (times, clock) = match &mut self.player {
            Player::Gpu(session) => {
                let spans: Vec<_> = (0..steps.len()).map(|i| (i, 1)).collect();
                session.time_steps(&self.recording, &spans)?
            }
            Player::Host(session) => {
                let timed = |step| {
                    let start = Instant::now();
                    session.play(&self.recording, step..step + 1);
                    start.elapsed()
                };
                ((0..steps.len()).map(timed).collect(), Clock::Host)
            }
        };
        let steps = times.into_iter().enumerate().map(|(i, time)| self.items(i).map(|items| StepTime { time, items }));
        Ok(Profile { steps: steps.collect::<Result<_, _>>()?, clock })
    }

    /// Plays the step at `index` `times` times and returns the total duration, for steps shorter than a clock
    /// tick. Its inputs must have been computed by an earlier play.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn time_step(&mut self, index: usize, times: u32) -> Result<(Duration, Clock), EngineError> {
        match &mut self.player {
            Player::Gpu(session) => {
                let (spans, clock) = session.time_steps(&self.recording, &[(index, times)])?;
                Ok((spans.into_iter().sum(), clock))
            }
            Player::Host(session) => {
                let start = Instant::now();
                (0..times).for_each(|_| session.play(&self.recording, index..index + 1));
                Ok((start.elapsed(), Clock::Host))
            }
        }
    }

    /// Plays the whole recording `times` times, one submission each, without reading back, and returns the
    /// wall time until the last has finished.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn time_plays(&mut self, times: u32) -> Result<Duration, EngineError> {
        let start = Instant::now();
        match &mut self.player {
            Player::Gpu(session) => session.repeat(&self.recording, times)?,
            Player::Host(session) => (0..times).for_each(|_| session.play(&self.recording, 0..self.recording.steps().len())),
        }
        Ok(start.elapsed())
    }

    /// Returns the number of items that the step at `index` processed when it was last played.
    fn items(&self, index: usize) -> Result<u32, EngineError> {
        let step = &self.recording.steps()[index];
        let Some(counted) = step.counted else { return Ok(step.kernel.work().most()) };
        Ok(counted.items(&self.peek(counted.slot)?))
    }
}
