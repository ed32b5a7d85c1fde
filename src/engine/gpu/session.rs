//! A recording on the device: buffers, bind groups, one submission per play, and several plays in flight.

use std::ops::Range;
use std::sync::mpsc::Receiver;

use super::device::{Gpu, create};
use super::fault::scoped;
use super::frame::GpuFrame;
use super::views::{USAGE, View, allocate, storage};
use crate::engine::EngineError;
use crate::engine::memory::Layout;
use crate::record::{Recording, Role, Slot, SlotInfo, Step};

struct BoundStep {
    pipeline: wgpu::ComputePipeline,
    /// For a step that touches an input, the bind group of the first lane.
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

/// The resources that each play in flight has to itself: input buffers, the bind groups that refer to them,
/// and the buffer for reading results. All other resources are shared, since submissions run in order.
pub(super) struct Lane {
    inputs: Vec<(Slot, View)>,
    /// Bind groups of the steps that touch an input, each with the index of its step.
    bindings: Vec<(usize, wgpu::BindGroup)>,
    staging: wgpu::Buffer,
    /// The input whose buffer the caller has lent.
    lent: Option<Slot>,
}

/// A play that was submitted; pass it to [`GpuSession::collect`].
#[derive(Debug)]
pub struct GpuFlight {
    lane: usize,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
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

const UNIFORM_ALIGN: usize = 256;

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
        let uniforms = uniforms(gpu, recording)?;
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
        self.lanes.push(Some(Lane { inputs, bindings, staging, lent: None }));
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
        if self.view(lane, slot).buffer != frame.buffer {
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
        (own.inputs, own.bindings) = (inputs, bindings);
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

    /// Overwrites the start of `slot`, effective from the next play. If all lanes are in flight and there is
    /// no memory for another, [`GpuSession::submit`] returns the error.
    pub fn write(&mut self, recording: &Recording, slot: Slot, bytes: &[u8]) {
        match self.own_lane(recording, slot) {
            Ok(lane) => {
                self.gpu.counts.wrote(bytes.len());
                let view = self.view(lane, slot);
                self.gpu.queue.write_buffer(&view.buffer, view.start, bytes);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn view(&self, lane: usize, slot: Slot) -> &View {
        let own = self.lanes[lane].iter().flat_map(|lane| &lane.inputs).find(|(input, _)| *input == slot);
        own.map_or(&self.views[slot.index()], |(_, view)| view)
    }

    /// Returns the number of elements of all slots, without the inputs of further lanes.
    pub fn elements(&self) -> usize {
        self.elements
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
        let (lane, dispatches, mut encoder) = (self.free(index), steps.len(), self.encoder());
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            steps.for_each(|step| self.encode(&mut pass, recording, lane, step));
        }
        for (slot, bytes) in &self.outputs {
            let view = self.view(index, *slot);
            encoder.copy_buffer_to_buffer(&view.buffer, view.start, &lane.staging, bytes.start, bytes.end - bytes.start);
        }
        let submission = self.finish(encoder, dispatches)?;
        let flight = GpuFlight { lane: index, submission, mapped: map(&lane.staging) };
        self.free.pop();
        Ok(flight)
    }

    /// Waits for a play in flight and returns the outputs, by slot.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone, [`EngineError::Timeout`] if it hangs.
    pub fn collect(&mut self, flight: GpuFlight) -> Result<Vec<(Slot, Vec<f32>)>, EngineError> {
        // Removed first: a buffer whose mapping never ended is not used again.
        let Some(lane) = self.lanes[flight.lane].take() else { unreachable!("a flight is collected once") };
        let whole = read(&self.gpu, &lane.staging, flight.submission, &flight.mapped)?;
        self.lanes[flight.lane] = Some(lane);
        self.free.push(flight.lane);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        Ok(self.outputs.iter().map(|(slot, bytes)| (*slot, whole[bytes.start as usize / 4..bytes.end as usize / 4].to_vec())).collect())
    }

    /// Returns the current contents of any slot, for tests and `doctor`; for an input slot, what the next
    /// play will read.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`GpuSession::collect`].
    pub fn peek(&self, slot: Slot) -> Result<Vec<f32>, EngineError> {
        let View { buffer, start, bytes } = self.free.last().map_or(&self.views[slot.index()], |lane| self.view(*lane, slot));
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "peek buffer", || create(&self.gpu, "peek", *bytes, usage))?;
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, *start, &staging, 0, *bytes);
        let submission = self.finish(encoder, 0)?;
        read(&self.gpu, &staging, submission, &map(&staging))
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("play") })
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

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>, recording: &Recording, lane: &Lane, index: usize) {
        let (step, bound) = (&recording.steps()[index], &self.steps[index]);
        let own = lane.bindings.iter().find(|(step, _)| *step == index).map(|(_, group)| group);
        pass.set_pipeline(&bound.pipeline);
        pass.set_bind_group(0, own.unwrap_or(&bound.bindings), &[]);
        match step.counted {
            Some(counted) => pass.dispatch_workgroups_indirect(&self.views[counted.slot.index()].buffer, counted.index as u64 * 16),
            None => pass.dispatch_workgroups(bound.groups[0], bound.groups[1], 1),
        }
    }

    pub(super) fn finish(&self, encoder: wgpu::CommandEncoder, dispatches: usize) -> Result<wgpu::SubmissionIndex, EngineError> {
        self.gpu.counts.submitted(dispatches);
        let submission = scoped(&self.gpu.device, "submission", || self.gpu.queue.submit([encoder.finish()]))?;
        self.gpu.fault.check()?;
        Ok(submission)
    }
}

/// Creates one buffer with the uniforms of all steps.
fn uniforms(gpu: &Gpu, recording: &Recording) -> Result<wgpu::Buffer, EngineError> {
    let mut bytes = vec![0; UNIFORM_ALIGN * recording.steps().len().max(1)];
    for (chunk, step) in bytes.chunks_exact_mut(UNIFORM_ALIGN).zip(recording.steps()) {
        let uniform = step.kernel.uniform();
        chunk[..uniform.len()].copy_from_slice(uniform);
    }
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniforms = scoped(&gpu.device, "uniforms", || create(gpu, "uniforms", bytes.len() as u64, usage))?;
    gpu.queue.write_buffer(&uniforms, 0, &bytes);
    Ok(uniforms)
}

fn bind(gpu: &Gpu, recording: &Recording, uniforms: &wgpu::Buffer, views: &[View]) -> Result<Vec<BoundStep>, EngineError> {
    let limit = gpu.device.limits().max_compute_workgroups_per_dimension;
    let bind_one = |(i, step): (usize, &Step)| {
        let work = step.kernel.work();
        let groups = work.groups(work.most(), step.kernel.workgroup()[0]);
        let most = groups[0].max(groups[1]);
        if most > limit {
            return Err(EngineError::TooManyGroups { kernel: step.kernel.name(), groups: most, limit });
        }
        let pipeline = gpu.pipeline(&*step.kernel)?;
        let view = |slot: Slot| &views[slot.index()];
        let bindings = scoped(&gpu.device, step.kernel.name(), || bind_group(gpu, step, &pipeline, uniforms, i, view))?;
        Ok(BoundStep { pipeline, bindings, groups })
    };
    recording.steps().iter().enumerate().map(bind_one).collect()
}

fn bind_group<'a>(
    gpu: &Gpu,
    step: &Step,
    pipeline: &wgpu::ComputePipeline,
    uniforms: &'a wgpu::Buffer,
    index: usize,
    view: impl Fn(Slot) -> &'a View,
) -> wgpu::BindGroup {
    let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: uniforms,
        offset: (index * UNIFORM_ALIGN) as u64,
        size: std::num::NonZeroU64::new(step.kernel.uniform().len().next_multiple_of(16) as u64),
    });
    let storage = step.slots.iter().map(|slot| view(*slot).resource());
    let entries: Vec<_> =
        std::iter::once(uniform).chain(storage).zip(0..).map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource }).collect();
    let layout = pipeline.get_bind_group_layout(0);
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(step.kernel.name()), layout: &layout, entries: &entries })
}

pub(super) fn map(buffer: &wgpu::Buffer) -> Receiver<Result<(), wgpu::BufferAsyncError>> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        let _ = sender.send(result);
    });
    receiver
}

/// Waits until the device has completed `submission` and all earlier ones.
pub(super) fn wait(gpu: &Gpu, submission: wgpu::SubmissionIndex) -> Result<(), EngineError> {
    let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(Gpu::TIMEOUT) };
    // wgpu panics where a driver's wait fails. This is treated as a lost device, and the session is dropped
    // afterwards.
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gpu.device.poll(wait)));
    gpu.fault.check()?;
    let polled = polled.map_err(|_| EngineError::Lost { message: "the driver failed while it was waited for".to_owned() })?;
    if matches!(polled, Err(wgpu::PollError::Timeout)) {
        return Err(EngineError::Timeout { seconds: Gpu::TIMEOUT.as_secs() });
    }
    Ok(())
}

/// Waits for the device, then copies the contents of a mapped buffer.
pub(super) fn read(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: &Receiver<Result<(), wgpu::BufferAsyncError>>,
) -> Result<Vec<f32>, EngineError> {
    wait(gpu, submission)?;
    let lost = |message: String| EngineError::Lost { message };
    // Another thread's poll may have taken this callback without having run it yet.
    match mapped.recv_timeout(Gpu::TIMEOUT) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(lost(format!("mapping failed: {error}"))),
        Err(_) => return Err(lost("the device never finished mapping".to_owned())),
    }
    let view = buffer.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
    let data = bytemuck::pod_collect_to_vec(&view);
    gpu.counts.read_back(view.len());
    drop(view);
    buffer.unmap();
    Ok(data)
}
