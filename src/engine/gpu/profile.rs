//! Timing of steps by the device's own clock, or by the host's clock where the device has none.

use std::time::{Duration, Instant};

use super::device::create;
use super::fault::scoped;
use super::mapping::{Mapping, read, wait};
use super::session::GpuSession;
use crate::engine::EngineError;
use crate::engine::profile::Clock;
use crate::record::Recording;

/// Number of passes that one query set times, with a query at each end: WebGPU guarantees 4096 queries.
const SPANS: usize = 2048;

impl GpuSession {
    /// Plays each step of `spans` the given number of times, in order, and returns the duration of each span.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`GpuSession::submit`].
    pub fn time_steps(&mut self, recording: &Recording, spans: &[(usize, u32)]) -> Result<(Vec<Duration>, Clock), EngineError> {
        if !self.gpu.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return spans.iter().map(|span| self.timed_by_host(recording, *span)).collect::<Result<_, _>>().map(|t| (t, Clock::Host));
        }
        let mut times = Vec::with_capacity(spans.len());
        for spans in spans.chunks(SPANS) {
            times.extend(self.timed_by_device(recording, spans)?);
        }
        Ok((times, Clock::Device))
    }

    fn timed_by_host(&mut self, recording: &Recording, (index, times): (usize, u32)) -> Result<Duration, EngineError> {
        let start = Instant::now();
        let lane = self.lane(recording)?;
        let lane = self.free(lane);
        let mut encoder = self.encoder(lane, lane.written());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            (0..times).for_each(|_| self.encode(&mut pass, lane, index));
        }
        let submission = self.finish(encoder.finish(), times as usize, lane)?;
        wait(&self.gpu, Some(submission))?;
        Ok(start.elapsed())
    }

    fn timed_by_device(&mut self, recording: &Recording, spans: &[(usize, u32)]) -> Result<Vec<Duration>, EngineError> {
        let lane = self.lane(recording)?;
        let (lane, device, queries) = (self.free(lane), &self.gpu.device, spans.len() as u32 * 2);
        let descriptor = wgpu::QuerySetDescriptor { label: Some("steps"), ty: wgpu::QueryType::Timestamp, count: queries };
        let set = scoped(device, "timestamps", || device.create_query_set(&descriptor))?;
        let bytes = u64::from(queries) * 8;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = scoped(device, "timestamps", || create(&self.gpu, "timestamps", bytes, usage))?;
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(device, "timestamps", || create(&self.gpu, "timestamps read-back", bytes, usage))?;
        let mut encoder = self.encoder(lane, lane.written());
        for (&(index, times), first) in spans.iter().zip((0..).step_by(2)) {
            let timestamp_writes = Some(wgpu::ComputePassTimestampWrites {
                query_set: &set,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            });
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
            (0..times).for_each(|_| self.encode(&mut pass, lane, index));
        }
        encoder.resolve_query_set(&set, 0..queries, &resolved, 0);
        encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
        let submission = self.finish(encoder.finish(), spans.iter().map(|(_, times)| *times as usize).sum(), lane)?;
        Mapping::of(&staging, wgpu::MapMode::Read).wait(&self.gpu, Some(submission))?;
        let words = read(&self.gpu, &staging, |data| (data.to_vec(), data.len() * 4))?;
        let ticks: &[[u32; 2]] = bytemuck::cast_slice(&words);
        let tick = |i: usize| u64::from(ticks[i][0]) | u64::from(ticks[i][1]) << 32;
        let period = f64::from(self.gpu.queue.get_timestamp_period());
        // A clock may run backwards where a driver switches clock domains; such an interval counts as zero.
        let time = |i: usize| Duration::from_nanos((tick(2 * i + 1).saturating_sub(tick(2 * i)) as f64 * period) as u64);
        Ok((0..spans.len()).map(time).collect())
    }

    /// Plays the whole recording `times` times, one submission each, and waits for the last.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`GpuSession::submit`].
    pub fn repeat(&mut self, recording: &Recording, times: u32) -> Result<(), EngineError> {
        let lane = self.lane(recording)?;
        let (lane, mut last) = (self.free(lane), None);
        for _ in 0..times {
            let mut encoder = self.encoder(lane, lane.written());
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                (0..recording.steps().len()).for_each(|index| self.encode(&mut pass, lane, index));
            }
            last = Some(self.finish(encoder.finish(), recording.steps().len(), lane)?);
        }
        last.map_or(Ok(()), |submission| wait(&self.gpu, Some(submission)))
    }
}
