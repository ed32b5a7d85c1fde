//! A recording on the device: buffers, bind groups, one submission per play, several plays in flight.

use std::ops::Range;
use std::sync::mpsc::Receiver;

use super::device::{Gpu, create};
use super::fault::scoped;
use super::frame::GpuFrame;
use crate::engine::EngineError;
use crate::engine::memory::Layout;
use crate::record::{Recording, Role, Slot, SlotInfo, Step};

/// A range of a buffer: where a slot is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub buffer: wgpu::Buffer,
    start: u64,
    /// As long as its slot, in whole `vec4`s.
    bytes: u64,
}

impl View {
    fn whole(buffer: wgpu::Buffer) -> Self {
        let bytes = buffer.size();
        Self { buffer, start: 0, bytes }
    }

    fn resource(&self) -> wgpu::BindingResource<'_> {
        let size = std::num::NonZeroU64::new(self.bytes);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.buffer, offset: self.start, size })
    }
}

struct BoundStep {
    pipeline: wgpu::ComputePipeline,
    /// Of a step that touches an input: that of the first flight.
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

/// What a play has for itself while others are in flight: input buffers, the bind groups that name them, and where results are read.
/// Everything between is shared, since submissions run in order.
pub(super) struct Lane {
    inputs: Vec<(Slot, View)>,
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
    /// By slot.
    views: Vec<View>,
    elements: usize,
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

    /// The lane of the next play, made if all are in flight.
    pub(super) fn lane(&mut self, recording: &Recording) -> Result<usize, EngineError> {
        if let Some(&lane) = self.free.last() {
            return Ok(lane);
        }
        let mut inputs = Vec::new();
        for (i, info) in recording.slots().iter().enumerate().filter(|(_, info)| matches!(info.role, Role::Input)) {
            // The first lane takes the slot's own buffer.
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

    /// A buffer for one more play's input.
    fn another(&self, info: &SlotInfo) -> Result<View, EngineError> {
        let usage = if info.uniform { USAGE | wgpu::BufferUsages::UNIFORM } else { USAGE };
        scoped(&self.gpu.device, &info.label, || storage(&self.gpu, &info.label, info.len, usage)).map(View::whole)
    }

    /// Bind groups of the steps that touch an input, with these views as `inputs`.
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
        if self.view(lane, slot).buffer != frame.buffer {
            self.exchange(recording, lane, slot, &View::whole(frame.buffer.clone()))?;
        }
        self.free_mut(lane).lent = Some(slot);
        Ok(true)
    }

    /// Makes `view` the input `slot` of a free `lane`.
    fn exchange(&mut self, recording: &Recording, lane: usize, slot: Slot, view: &View) -> Result<(), EngineError> {
        let mut inputs = self.free(lane).inputs.clone();
        inputs.iter_mut().filter(|(input, _)| *input == slot).for_each(|(_, old)| old.clone_from(view));
        let bindings = self.bind_inputs(recording, &inputs)?;
        let own = self.free_mut(lane);
        (own.inputs, own.bindings) = (inputs, bindings);
        Ok(())
    }

    /// The lane of the next play, with a buffer of its own for the input `slot`: what the caller lent is not ours to overwrite.
    fn own_lane(&mut self, recording: &Recording, slot: Slot) -> Result<usize, EngineError> {
        let lane = self.lane(recording)?;
        if self.free(lane).lent == Some(slot) {
            let view = self.another(&recording.slots()[slot.index()])?;
            self.exchange(recording, lane, slot, &view)?;
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

    /// Elements that all slots take together, without the inputs of further flights.
    pub fn elements(&self) -> usize {
        self.elements
    }

    /// Submits `steps` of the recording and the copy of its outputs, and returns at once.
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

/// What every slot's buffer may be used for.
const USAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

/// Bytes of a buffer of so many elements: a binding of an array of vec4 or of a struct needs at least one whole element.
fn bytes(len: usize) -> u64 {
    (len as u64 * 4).next_multiple_of(16).max(64)
}

fn storage(gpu: &Gpu, label: &str, len: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    create(gpu, label, bytes(len), usage)
}

/// The buffers of `layout` with the constants in them, as the views of all slots.
fn allocate(gpu: &Gpu, recording: &Recording, layout: &Layout) -> Result<Vec<View>, EngineError> {
    let limits = gpu.device.limits();
    let mut usages = vec![(USAGE, ""); layout.buffers.len()];
    for (i, info) in recording.slots().iter().enumerate() {
        let bytes = info.len as u64 * 4;
        let limit = if info.uniform { limits.max_uniform_buffer_binding_size } else { limits.max_storage_buffer_binding_size };
        // An arena may be larger than any binding: its ranges are what is bound.
        let bound = recording.steps().iter().any(|step| step.slots.contains(&Slot(i)));
        let is_arena = recording.slots().iter().any(|other| other.range.is_some_and(|(arena, _)| arena == Slot(i)));
        if bytes > limit && (bound || !is_arena) || bytes > limits.max_buffer_size {
            return Err(EngineError::TooLarge { slot: info.label.clone(), bytes, limit });
        }
        let (usage, label) = &mut usages[layout.place(Slot(i)).buffer];
        *usage |= if info.uniform { wgpu::BufferUsages::UNIFORM } else { USAGE };
        *label = if label.is_empty() { &info.label } else { label };
    }
    for counted in recording.steps().iter().filter_map(|step| step.counted) {
        usages[layout.place(counted.slot).buffer].0 |= wgpu::BufferUsages::INDIRECT;
    }
    let made =
        layout.buffers.iter().zip(&usages).map(|(len, (usage, label))| scoped(&gpu.device, label, || storage(gpu, label, *len, *usage)));
    let buffers = made.collect::<Result<Vec<_>, _>>()?;
    let view = |(i, info): (usize, &SlotInfo)| {
        let place = layout.place(Slot(i));
        let view = View { buffer: buffers[place.buffer].clone(), start: place.start as u64 * 4, bytes: bytes(place.len) };
        if let Role::Constant(data) = &info.role {
            gpu.counts.wrote(size_of_val(&**data));
            gpu.queue.write_buffer(&view.buffer, view.start, bytemuck::cast_slice(data));
        }
        view
    };
    Ok(recording.slots().iter().enumerate().map(view).collect())
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
