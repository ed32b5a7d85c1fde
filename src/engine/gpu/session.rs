//! A recording on the device: buffers, bind groups, one submission per play, several plays in flight.

use std::ops::Range;
use std::sync::mpsc::Receiver;

use super::device::Gpu;
use super::fault::scoped;
use super::frame::GpuFrame;
use crate::engine::EngineError;
use crate::record::{Recording, Slot, SlotInfo, Step};

struct BoundStep {
    pipeline: wgpu::ComputePipeline,
    /// Of a step that touches an input: that of the first flight.
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

/// What a play has for itself while others are in flight: input buffers, the bind groups that name them, and where results are read.
/// Everything between is shared, since submissions run in order.
pub(super) struct Lane {
    inputs: Vec<(Slot, wgpu::Buffer)>,
    /// By step, of those that touch an input.
    bindings: Vec<(usize, wgpu::BindGroup)>,
    staging: wgpu::Buffer,
    /// The input whose buffer is the caller's.
    lent: Option<Slot>,
}

/// A play that was submitted: hand it to [`GpuSession::collect`].
#[derive(Debug)]
pub struct GpuFlight {
    lane: usize,
    submission: wgpu::SubmissionIndex,
    mapped: Receiver<Result<(), wgpu::BufferAsyncError>>,
}

/// A recording with its buffers on one device.
pub struct GpuSession {
    pub(super) gpu: Gpu,
    buffers: Vec<wgpu::Buffer>,
    uniforms: wgpu::Buffer,
    steps: Vec<BoundStep>,
    /// Output slots, with their bytes in `staging`.
    outputs: Vec<(Slot, Range<u64>)>,
    lanes: Vec<Option<Lane>>,
    /// Lanes that no flight holds, the next one last.
    free: Vec<usize>,
    /// Why an input could not be written.
    failed: Option<EngineError>,
}

const UNIFORM_ALIGN: usize = 256;

impl GpuSession {
    /// Compiles what is new, allocates every slot and uploads the constants.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooLarge`] if a slot exceeds the device's largest binding, [`EngineError::TooManyGroups`], [`EngineError::OutOfMemory`],
    /// [`EngineError::Rejected`] or [`EngineError::Lost`].
    pub fn new(gpu: &Gpu, recording: &Recording) -> Result<Self, EngineError> {
        gpu.fault.check()?;
        let buffers = allocate(gpu, recording)?;
        let uniforms = uniforms(gpu, recording)?;
        let steps = bind(gpu, recording, &uniforms, &buffers)?;
        let mut end = 0;
        let outputs: Vec<_> = (recording.slots().iter().enumerate())
            .filter(|(_, info)| info.output)
            .map(|(i, info)| {
                let start = end;
                end += info.len as u64 * 4;
                (Slot(i), start..end)
            })
            .collect();
        let mut session = Self { gpu: gpu.clone(), buffers, uniforms, steps, outputs, lanes: Vec::new(), free: Vec::new(), failed: None };
        session.lane(recording)?;
        gpu.fault.check()?;
        Ok(session)
    }

    /// The lane of the next play, made if all are in flight.
    pub(super) fn lane(&mut self, recording: &Recording) -> Result<usize, EngineError> {
        if let Some(&lane) = self.free.last() {
            return Ok(lane);
        }
        let mut inputs = Vec::new();
        for (i, info) in recording.slots().iter().enumerate().filter(|(_, info)| info.input) {
            // The first lane takes the slot's own buffer.
            let first = self.lanes.is_empty().then(|| self.buffers[i].clone());
            let buffer = first.map_or_else(|| scoped(&self.gpu.device, &info.label, || storage(&self.gpu, info, false)), Ok)?;
            inputs.push((Slot(i), buffer));
        }
        let bindings = if self.lanes.is_empty() { Vec::new() } else { self.bind_inputs(recording, &inputs)? };
        let size = self.outputs.last().map_or(4, |(_, bytes)| bytes.end);
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "read-back buffer", || create(&self.gpu, "read-back", size, usage))?;
        self.lanes.push(Some(Lane { inputs, bindings, staging, lent: None }));
        self.free.push(self.lanes.len() - 1);
        Ok(self.lanes.len() - 1)
    }

    /// Bind groups of the steps that touch an input, with these buffers as `inputs`.
    fn bind_inputs(&self, recording: &Recording, inputs: &[(Slot, wgpu::Buffer)]) -> Result<Vec<(usize, wgpu::BindGroup)>, EngineError> {
        let input = |slot: Slot| inputs.iter().find(|(input, _)| *input == slot).map(|(_, buffer)| buffer);
        let buffer = |slot: Slot| input(slot).unwrap_or(&self.buffers[slot.index()]);
        let touching = recording.steps().iter().enumerate().filter(|(_, step)| step.slots.iter().any(|slot| input(*slot).is_some()));
        let bound = touching.map(|(index, step)| {
            let pipeline = &self.steps[index].pipeline;
            let group =
                scoped(&self.gpu.device, step.kernel.name(), || bind_group(&self.gpu, step, pipeline, &self.uniforms, index, buffer))?;
            Ok((index, group))
        });
        bound.collect()
    }

    /// Lets the next play read the input `slot` from `frame`; `false` if that is on another device or too small.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if there is no memory for another flight.
    pub fn lend(&mut self, recording: &Recording, slot: Slot, frame: &GpuFrame) -> Result<bool, EngineError> {
        let bytes = recording.slots()[slot.index()].len as u64 * 4;
        if frame.gpu.device != self.gpu.device || frame.buffer.size() < bytes {
            return Ok(false);
        }
        let lane = self.lane(recording)?;
        if self.buffer(lane, slot) != &frame.buffer {
            self.exchange(recording, lane, slot, &frame.buffer)?;
        }
        self.free_mut(lane).lent = Some(slot);
        Ok(true)
    }

    /// Makes `buffer` the input `slot` of a free `lane`.
    fn exchange(&mut self, recording: &Recording, lane: usize, slot: Slot, buffer: &wgpu::Buffer) -> Result<(), EngineError> {
        let mut inputs = self.free(lane).inputs.clone();
        inputs.iter_mut().filter(|(input, _)| *input == slot).for_each(|(_, old)| old.clone_from(buffer));
        let bindings = self.bind_inputs(recording, &inputs)?;
        let own = self.free_mut(lane);
        (own.inputs, own.bindings) = (inputs, bindings);
        Ok(())
    }

    /// The lane of the next play, with a buffer of its own for the input `slot`: what the caller lent is not ours to overwrite.
    fn own_lane(&mut self, recording: &Recording, slot: Slot) -> Result<usize, EngineError> {
        let lane = self.lane(recording)?;
        if self.free(lane).lent == Some(slot) {
            let info = &recording.slots()[slot.index()];
            let buffer = scoped(&self.gpu.device, &info.label, || storage(&self.gpu, info, false))?;
            self.exchange(recording, lane, slot, &buffer)?;
            self.free_mut(lane).lent = None;
        }
        Ok(lane)
    }

    /// Overwrites the start of `slot`; takes effect before the next play. Where all lanes are in flight and there is no memory for another,
    /// [`GpuSession::submit`] says so.
    pub fn write(&mut self, recording: &Recording, slot: Slot, bytes: &[u8]) {
        match self.own_lane(recording, slot) {
            Ok(lane) => {
                self.gpu.counts.wrote(bytes.len());
                self.gpu.queue.write_buffer(self.buffer(lane, slot), 0, bytes);
            }
            Err(error) => self.failed = Some(error),
        }
    }

    fn buffer(&self, lane: usize, slot: Slot) -> &wgpu::Buffer {
        let own = self.lanes[lane].iter().flat_map(|lane| &lane.inputs).find(|(input, _)| *input == slot);
        own.map_or(&self.buffers[slot.index()], |(_, buffer)| buffer)
    }

    /// Submits `steps` of the recording and the copy of its outputs, and returns at once.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone.
    pub fn submit(&mut self, recording: &Recording, steps: Range<usize>) -> Result<GpuFlight, EngineError> {
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
            encoder.copy_buffer_to_buffer(self.buffer(index, *slot), 0, &lane.staging, bytes.start, bytes.end - bytes.start);
        }
        let submission = self.finish(encoder, dispatches)?;
        let flight = GpuFlight { lane: index, submission, mapped: map(&lane.staging) };
        self.free.pop();
        Ok(flight)
    }

    /// Waits for `flight` and returns the outputs, by slot.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone, [`EngineError::Timeout`] if it hangs.
    pub fn collect(&mut self, flight: GpuFlight) -> Result<Vec<(Slot, Vec<f32>)>, EngineError> {
        // Taken out: a buffer whose mapping never ended is not used again.
        let Some(lane) = self.lanes[flight.lane].take() else { unreachable!("a flight is collected once") };
        let whole = read(&self.gpu, &lane.staging, flight.submission, &flight.mapped)?;
        self.lanes[flight.lane] = Some(lane);
        self.free.push(flight.lane);
        self.free.sort_unstable_by(|a, b| b.cmp(a));
        Ok(self.outputs.iter().map(|(slot, bytes)| (*slot, whole[bytes.start as usize / 4..bytes.end as usize / 4].to_vec())).collect())
    }

    /// Contents of any slot as they are now, for tests and `doctor`; of an input, what the next play will see.
    ///
    /// # Errors
    ///
    /// As [`GpuSession::collect`].
    pub fn peek(&self, slot: Slot) -> Result<Vec<f32>, EngineError> {
        let buffer = self.free.last().map_or(&self.buffers[slot.index()], |lane| self.buffer(*lane, slot));
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "peek buffer", || create(&self.gpu, "peek", buffer.size(), usage))?;
        let mut encoder = self.encoder();
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        let submission = self.finish(encoder, 0)?;
        read(&self.gpu, &staging, submission, &map(&staging))
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("play") })
    }

    /// A lane that no flight holds.
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
            Some(counted) => pass.dispatch_workgroups_indirect(&self.buffers[counted.slot.index()], counted.index as u64 * 16),
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

pub(super) fn create(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

/// The buffer of a slot; `arguments` if indirect dispatches read it.
fn storage(gpu: &Gpu, info: &SlotInfo, arguments: bool) -> wgpu::Buffer {
    let mut usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    if arguments {
        usage |= wgpu::BufferUsages::INDIRECT;
    }
    if info.uniform {
        usage |= wgpu::BufferUsages::UNIFORM;
    }
    // A binding of an array of vec4 or of a struct needs at least one whole element.
    create(gpu, &info.label, (info.len as u64 * 4).next_multiple_of(16).max(64), usage)
}

fn allocate(gpu: &Gpu, recording: &Recording) -> Result<Vec<wgpu::Buffer>, EngineError> {
    let limits = gpu.device.limits();
    let counts: Vec<Slot> = recording.steps().iter().filter_map(|step| step.counted.map(|c| c.slot)).collect();
    let mut buffers = Vec::new();
    for (i, info) in recording.slots().iter().enumerate() {
        let bytes = info.len as u64 * 4;
        let limit = if info.uniform { limits.max_uniform_buffer_binding_size } else { limits.max_storage_buffer_binding_size };
        if bytes > limit {
            return Err(EngineError::TooLarge { slot: info.label.clone(), bytes, limit });
        }
        let buffer = scoped(&gpu.device, &info.label, || storage(gpu, info, counts.contains(&Slot(i))))?;
        if let Some(data) = &info.constant {
            gpu.counts.wrote(size_of_val(&**data));
            gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        }
        buffers.push(buffer);
    }
    Ok(buffers)
}

/// The uniforms of all steps in one buffer.
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

fn bind(gpu: &Gpu, recording: &Recording, uniforms: &wgpu::Buffer, buffers: &[wgpu::Buffer]) -> Result<Vec<BoundStep>, EngineError> {
    let limit = gpu.device.limits().max_compute_workgroups_per_dimension;
    let bind_one = |(i, step): (usize, &Step)| {
        let work = step.kernel.work();
        let groups = work.groups(work.most(), step.kernel.workgroup()[0]);
        let most = groups[0].max(groups[1]);
        if most > limit {
            return Err(EngineError::TooManyGroups { kernel: step.kernel.name(), groups: most, limit });
        }
        let pipeline = gpu.pipeline(&*step.kernel)?;
        let buffer = |slot: Slot| &buffers[slot.index()];
        let bindings = scoped(&gpu.device, step.kernel.name(), || bind_group(gpu, step, &pipeline, uniforms, i, buffer))?;
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
    buffer: impl Fn(Slot) -> &'a wgpu::Buffer,
) -> wgpu::BindGroup {
    let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: uniforms,
        offset: (index * UNIFORM_ALIGN) as u64,
        size: std::num::NonZeroU64::new(step.kernel.uniform().len().next_multiple_of(16) as u64),
    });
    let storage = step.slots.iter().map(|slot| buffer(*slot).as_entire_binding());
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

/// Waits until the device has done `submission` and all before it.
pub(super) fn wait(gpu: &Gpu, submission: wgpu::SubmissionIndex) -> Result<(), EngineError> {
    let wait = wgpu::PollType::Wait { submission_index: Some(submission), timeout: Some(Gpu::TIMEOUT) };
    // wgpu panics where a driver's wait fails: that is a lost device like any other, and the session is dropped after it.
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gpu.device.poll(wait)));
    gpu.fault.check()?;
    let polled = polled.map_err(|_| EngineError::Lost { message: "the driver failed while it was waited for".to_owned() })?;
    if matches!(polled, Err(wgpu::PollError::Timeout)) {
        return Err(EngineError::Timeout { seconds: Gpu::TIMEOUT.as_secs() });
    }
    Ok(())
}

/// Waits for the device, then copies a mapped buffer out.
pub(super) fn read(
    gpu: &Gpu,
    buffer: &wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapped: &Receiver<Result<(), wgpu::BufferAsyncError>>,
) -> Result<Vec<f32>, EngineError> {
    wait(gpu, submission)?;
    let lost = |message: String| EngineError::Lost { message };
    // Another thread's poll may have taken this callback and be about to run it.
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
