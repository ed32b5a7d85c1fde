//! Where the time goes: every step of a recording timed on its own, and what went over the bus.

use std::time::{Duration, Instant};

use super::{EngineError, Player, Session};

/// Whose clock timed a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Timestamps that the device took around the step.
    Device,
    /// The host's clock. On a GPU without timestamps each step is then a submission of its own that the host waits for, so its time
    /// has some 10 to 100 µs of driver in it; on the CPU engine it is exact.
    Host,
}

/// One step of a play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepTime {
    /// How long it took.
    pub time: Duration,
    /// Items it worked on: counted on the device, or all that its kernel has.
    pub items: u32,
}

/// One play of a recording, step by step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// One entry per step of the recording, in order.
    pub steps: Vec<StepTime>,
    /// Whose clock.
    pub clock: Clock,
}

/// What an engine has asked of its device since it was opened. Clones of an engine share one tally; the CPU engine's stays zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Compute dispatches, without those that wgpu adds to check indirect arguments.
    pub dispatches: u64,
    /// Submissions of commands.
    pub submissions: u64,
    /// Buffers mapped and read by the host.
    pub read_backs: u64,
    /// Bytes written to the device.
    pub bytes_up: u64,
    /// Bytes read from it.
    pub bytes_down: u64,
}

impl std::ops::Sub for Tally {
    type Output = Self;

    /// What was asked since `earlier`.
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
    /// Plays every step once and tells how long each took. Slower in sum than [`Session::play`], where steps overlap on a GPU and the CPU
    /// engine takes some items through several steps while they are in cache.
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

    /// Plays the step at `index` `times` times over and tells how long all of them took: for steps shorter than a clock's tick. What it
    /// reads must be there from a play before.
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

    /// Plays everything `times` times, one submission each, and waits only for the last, with no read-back: the wall time until then.
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

    /// Items that the step at `index` worked on when it was last played.
    fn items(&self, index: usize) -> Result<u32, EngineError> {
        let step = &self.recording.steps()[index];
        let Some(counted) = step.counted else { return Ok(step.kernel.work().most()) };
        let arguments = self.peek(counted.slot)?;
        Ok(arguments.get(counted.index * 4 + 3).map_or(0, |word| word.to_bits()))
    }
}
