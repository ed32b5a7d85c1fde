//! A recording on the device: buffers, bind groups, one submission per play, and several plays in flight.

use std::ops::Range;

use super::device::{Gpu, create};
use super::fault::scoped;
use super::frame::GpuFrame;
use super::lane::{Lane, Upload};
use super::mapping::{Mapping, read};
use super::steps::{BoundStep, bind, bind_group, uniforms};
use super::views::{USAGE, View, allocate, storage};
use crate::engine::memory::Layout;
use crate::engine::{EngineError, OutputView};
use crate::record::{Recording, Role, Slot, SlotInfo};

/// A play that was submitted; pass it to [`GpuSession::collect`].
#[derive(Debug)]
pub struct GpuFlight {
    lane: usize,
    submission: wgpu::SubmissionIndex,
    mapped: Mapping,
    /// Whether it brought up what the host had written.
    written: bool,
}

/// A recording with its buffers on one device.
pub struct GpuSession {
    pub(super) gpu: Gpu,
    /// One entry per slot.
    views: Vec<View>,
    elements: usize,
    uniforms: wgpu::Buffer,
    steps: Vec<BoundStep>,
    /// Output slots, each with its range of bytes in `staging`.
    outputs: Vec<(Slot, Range<u64>)>,
    lanes: Vec<Option<Lane>>,
    /// Lanes that no play in flight uses; the next one to use is last.
    free: Vec<usize>,
    /// Error from writing an input, which the next submission reports.
    failed: Option<EngineError>,
}

impl GpuSession {
    /// Compiles new kernels, allocates every slot and uploads the constants.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooLarge`] if a slot exceeds the device's largest binding,
    /// [`EngineError::TooManyGroups`], [`EngineError::OutOfMemory`], [`EngineError::Rejected`] or
    /// [`EngineError::Lost`].
    pub fn new(gpu: &Gpu, recording: &Recording) -> Result<Self, EngineError> {
        gpu.fault.check()?;
        let layout = Layout::of(recording, |step| step..step + 1);
        let views = allocate(gpu, recording, &layout)?;
        let uniforms = uniforms(gpu, recording, &views)?;
        let steps = bind(gpu, recording, &uniforms, &views)?;
        let mut end = 0;
        let output = |slot: &Slot| {
            let start = end;
            end += recording.slots()[slot.index()].len as u64 * 4;
            (*slot, start..end)
        };
        let outputs = recording.outputs().iter().map(output).collect();
        let elements = layout.elements();
        let mut session =
            Self { gpu: gpu.clone(), views, elements, uniforms, steps, outputs, lanes: Vec::new(), free: Vec::new(), failed: None };
        session.lane(recording)?;
        gpu.fault.check()?;
        Ok(session)
    }

    /// Returns the lane for the next play, and creates one if all lanes are in flight.
    pub(super) fn lane(&mut self, recording: &Recording) -> Result<usize, EngineError> {
        if let Some(&lane) = self.free.last() {
            return Ok(lane);
        }
        let mut inputs = Vec::new();
        for (i, info) in recording.slots().iter().enumerate().filter(|(_, info)| matches!(info.role, Role::Input)) {
            // The first lane uses the slot's own buffer.
            let first = self.lanes.is_empty().then(|| self.views[i].clone());
            inputs.push((Slot(i), first.map_or_else(|| self.another(info), Ok)?));
        }
        let bindings = if self.lanes.is_empty() { Vec::new() } else { self.bind_inputs(recording, &inputs)? };
        let size = self.outputs.last().map_or(4, |(_, bytes)| bytes.end);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "read-back buffer", || create(&self.gpu, "read-back", size, usage))?;
        self.lanes.push(Some(Lane { inputs, bindings, staging, upload: None, lent: None, ahead: None }));
        self.free.push(self.lanes.len() - 1);
        Ok(self.lanes.len() - 1)
    }

    /// Creates a buffer for the input of one more lane.
    fn another(&self, info: &SlotInfo) -> Result<View, EngineError> {
        let usage = if info.uniform { USAGE | wgpu::BufferUsages::UNIFORM } else { USAGE };
        scoped(&self.gpu.device, &info.label, || storage(&self.gpu, &info.label, info.len, usage)).map(View::whole)
    }

    /// Creates the bind groups of the steps that touch an input, with the views in `inputs`.
    fn bind_inputs(&self, recording: &Recording, inputs: &[(Slot, View)]) -> Result<Vec<(usize, wgpu::BindGroup)>, EngineError> {
        let input = |slot: Slot| inputs.iter().find(|(input, _)| *input == slot).map(|(_, view)| view);
        let view = |slot: Slot| input(slot).unwrap_or(&self.views[slot.index()]);
        let touching = recording.steps().iter().enumerate().filter(|(_, step)| step.slots.iter().any(|slot| input(*slot).is_some()));
        let bound = touching.map(|(index, step)| {
            let pipeline = &self.steps[index].pipeline;
            let group =
                scoped(&self.gpu.device, step.kernel.name(), || bind_group(&self.gpu, step, pipeline, &self.uniforms, index, view))?;
            Ok((index, group))
        });
        bound.collect()
    }

    /// Makes the next play read the input `slot` from `frame`. Returns `false` if the frame is on another
    /// device or too small.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if there is no memory for another lane.
    pub fn lend(&mut self, recording: &Recording, slot: Slot, frame: &GpuFrame) -> Result<bool, EngineError> {
        let bytes = recording.slots()[slot.index()].len as u64 * 4;
        if frame.gpu.device != self.gpu.device || frame.buffer.size() < bytes {
            return Ok(false);
        }
        let lane = self.lane(recording)?;
        if self.view(self.free(lane), slot).buffer != frame.buffer {
            self.exchange(recording, lane, slot, &View::whole(frame.buffer.clone()))?;
        }
        self.free_mut(lane).lent = Some(slot);
        Ok(true)
    }

    /// Replaces the input `slot` of a free `lane` with `view`.
    fn exchange(&mut self, recording: &Recording, lane: usize, slot: Slot, view: &View) -> Result<(), EngineError> {
        let mut inputs = self.free(lane).inputs.clone();
        inputs.iter_mut().filter(|(input, _)| *input == slot).for_each(|(_, old)| old.clone_from(view));
        let bindings = self.bind_inputs(recording, &inputs)?;
        let own = self.free_mut(lane);
        (own.inputs, own.bindings, own.ahead) = (inputs, bindings, None);
        Ok(())
    }

    /// Returns the lane for the next play, with a buffer of its own for the input `slot`: a buffer lent by
    /// the caller must not be overwritten.
    fn own_lane(&mut self, recording: &Recording, slot: Slot) -> Result<usize, EngineError> {
        let lane = self.lane(recording)?;
        if self.free(lane).lent == Some(slot) {
            let view = self.another(&recording.slots()[slot.index()])?;
            self.exchange(recording, lane, slot, &view)?;
            self.free_mut(lane).lent = None;
        }
        Ok(lane)
    }

    /// Overwrites `slot` from byte `start` on, effective from the next play. If all lanes are in flight and
    /// there is no memory for another, [`GpuSession::submit`] returns the error.
    pub fn write(&mut self, recording: &Recording, slot: Slot, start: usize, bytes: &[u8]) {
        self.gpu.counts.wrote(bytes.len());
        let input = matches!(recording.slots()[slot.index()].role, Role::Input);
        let written = if input { self.write_input(recording, slot, start, bytes) } else { Ok(()) };
        if let Err(error) = written {
            self.failed = Some(error);
        }
        if !input {
            let view = &self.views[slot.index()];
            self.gpu.queue.write_buffer(&view.buffer, view.start + start as u64, bytes);
        }
    }

    fn write_input(&mut self, recording: &Recording, slot: Slot, start: usize, bytes: &[u8]) -> Result<(), EngineError> {
        let lane = self.own_lane(recording, slot)?;
        if self.free(lane).upload.is_none() {
            let upload = Upload::new(&self.gpu, &self.free(lane).inputs)?;
            self.free_mut(lane).upload = Some(upload);
        }
        self.free(lane).upload.as_ref().map_or(Ok(()), |upload| upload.write(&self.gpu, slot, start, bytes))
    }

    fn view<'a>(&'a self, lane: &'a Lane, slot: Slot) -> &'a View {
        lane.inputs.iter().find(|(input, _)| *input == slot).map_or(&self.views[slot.index()], |(_, view)| view)
    }

    /// Returns the number of elements of all slots, without the inputs of further lanes.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Submits a play of the whole recording, without waiting for it. The commands of the next such play in
    /// the same lane are encoded while the device is busy with this one.
    ///
    /// # Errors
    ///
    /// As for [`GpuSession::submit`].
    pub fn submit_whole(&mut self, recording: &Recording) -> Result<GpuFlight, EngineError> {
        let flight = self.submit(recording, 0..recording.steps().len())?;
        if let Some(lane) = &self.lanes[flight.lane] {
            // What is wrong with them shows when they are encoded again.
            let ahead = self.encoded(lane, flight.written, 0..recording.steps().len()).ok();
            let ahead = ahead.map(|commands| (flight.written, commands));
            if let Some(lane) = &mut self.lanes[flight.lane] {
                lane.ahead = ahead;
            }
        }
        Ok(flight)
    }

    /// Submits `steps` of the recording and the copy of its outputs, without waiting for them.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone.
    pub fn submit(&mut self, recording: &Recording, steps: impl ExactSizeIterator<Item = usize>) -> Result<GpuFlight, EngineError> {
        self.gpu.fault.check()?;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let index = self.lane(recording)?;
        let (written, dispatches) = (self.free(index).written(), steps.len());
        let whole = dispatches == recording.steps().len();
        let ahead = self.free_mut(index).ahead.take().filter(|(up, _)| whole && *up == written);
        let lane = self.free(index);
        let commands = match ahead {
            Some((_, commands)) => commands,
            None => self.encoded(lane, written, steps)?,
        };
        let submission = self.finish(commands, dispatches, lane)?;
        let flight = GpuFlight { lane: index, submission, mapped: Mapping::of(&lane.staging, wgpu::MapMode::Read), written };
        self.free.pop();
        Ok(flight)
    }

    /// Encodes a play of `steps` in `lane`, and the copy of the recording's outputs; first that of what the
    /// host has written, if it has.
    fn encoded(&self, lane: &Lane, written: bool, steps: impl Iterator<Item = usize>) -> Result<wgpu::CommandBuffer, EngineError> {
        scoped(&self.gpu.device, "commands", || {
            let mut encoder = self.encoder(lane, written);
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                steps.for_each(|step| self.encode(&mut pass, lane, step));
            }
            for (slot, bytes) in &self.outputs {
                let view = self.view(lane, *slot);
                encoder.copy_buffer_to_buffer(&view.buffer, view.start, &lane.staging, bytes.start, bytes.end - bytes.start);
            }
            encoder.finish()
        })
    }

    /// Waits for a play in flight and passes its outputs to `look`, where they lie.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone, [`EngineError::Timeout`] if it hangs.
    pub fn collect<T>(&mut self, flight: GpuFlight, look: impl FnOnce(&OutputView<'_>) -> T) -> Result<T, EngineError> {
        // Removed first: a buffer whose mapping never ended is not used again.
        let Some(lane) = self.lanes[flight.lane].take() else { unreachable!("a flight is collected once") };
        flight.mapped.wait(&self.gpu, Some(flight.submission))?;
        let seen = read(&self.gpu, &lane.staging, |data| {
            let slots = self.outputs.iter().map(|(slot, bytes)| (*slot, &data[bytes.start as usize / 4..bytes.end as usize / 4]));
            let view = OutputView::new(slots);
            let seen = look(&view);
            (seen, view.elements_read() * 4)
        })?;
        self.lanes[flight.lane] = Some(lane);
        self.free.push(flight.lane);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        Ok(seen)
    }

    /// Returns the current contents of any slot, for tests and `doctor`; for an input slot, what the next
    /// play will read.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`GpuSession::collect`].
    pub fn peek(&self, slot: Slot) -> Result<Vec<f32>, EngineError> {
        let lane = self.free.last().map(|lane| self.free(*lane));
        let View { buffer, start, bytes } = lane.map_or(&self.views[slot.index()], |lane| self.view(lane, slot));
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "peek buffer", || create(&self.gpu, "peek", *bytes, usage))?;
        let mut encoder = match lane {
            Some(lane) => self.encoder(lane, lane.written()),
            None => self.empty_encoder(),
        };
        encoder.copy_buffer_to_buffer(buffer, *start, &staging, 0, *bytes);
        let submit = || self.submit_counted(encoder.finish(), 0);
        let submission = match lane {
            Some(lane) => lane.handing_over(submit),
            None => submit(),
        }?;
        Mapping::of(&staging, wgpu::MapMode::Read).wait(&self.gpu, Some(submission))?;
        read(&self.gpu, &staging, |data| (data.to_vec(), data.len() * 4))
    }

    fn empty_encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("play") })
    }

    /// Begins the commands of a play in `lane`, with the copy of what the host has written, if it has.
    pub(super) fn encoder(&self, lane: &Lane, written: bool) -> wgpu::CommandEncoder {
        let mut encoder = self.empty_encoder();
        if written {
            lane.bring_up(&mut encoder);
        }
        encoder
    }

    /// Returns lane number `lane`, which no play in flight uses.
    pub(super) fn free(&self, lane: usize) -> &Lane {
        let Some(lane) = &self.lanes[lane] else { unreachable!("a free lane was not lost") };
        lane
    }

    fn free_mut(&mut self, lane: usize) -> &mut Lane {
        let Some(lane) = &mut self.lanes[lane] else { unreachable!("a free lane was not lost") };
        lane
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, lane: &Lane, index: usize) {
        let bound = &self.steps[index];
        let own = lane.bindings.iter().find(|(step, _)| *step == index).map(|(_, group)| group);
        pass.set_pipeline(&bound.pipeline);
        pass.set_bind_group(0, own.unwrap_or(&bound.bindings), &[]);
        pass.dispatch_workgroups(bound.groups[0], bound.groups[1], 1);
    }

    /// Submits commands of a play in `lane`.
    pub(super) fn finish(
        &self,
        commands: wgpu::CommandBuffer,
        dispatches: usize,
        lane: &Lane,
    ) -> Result<wgpu::SubmissionIndex, EngineError> {
        lane.handing_over(|| self.submit_counted(commands, dispatches))
    }

    fn submit_counted(&self, commands: wgpu::CommandBuffer, dispatches: usize) -> Result<wgpu::SubmissionIndex, EngineError> {
        self.gpu.counts.submitted(dispatches);
        let submission = scoped(&self.gpu.device, "submission", || self.gpu.queue.submit([commands]))?;
        self.gpu.fault.check()?;
        Ok(submission)
    }
}
