//! A recording on the device: buffers, bind groups, one submission per play.

use std::ops::Range;

use super::device::Gpu;
use super::fault::scoped;
use crate::engine::EngineError;
use crate::record::{Recording, Slot, Step};

struct BoundStep {
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    groups: [u32; 2],
}

/// A recording with its buffers on one device.
pub struct GpuSession {
    gpu: Gpu,
    buffers: Vec<wgpu::Buffer>,
    steps: Vec<BoundStep>,
    /// Output slots, with their bytes in `staging`.
    outputs: Vec<(Slot, Range<u64>)>,
    staging: wgpu::Buffer,
}

const UNIFORM_ALIGN: usize = 256;

impl GpuSession {
    /// Compiles what is new, allocates every slot and uploads the constants.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooLarge`] if a slot exceeds the device's largest binding, [`EngineError::OutOfMemory`], [`EngineError::Rejected`] or
    /// [`EngineError::Lost`].
    pub fn new(gpu: &Gpu, recording: &Recording) -> Result<Self, EngineError> {
        gpu.fault.check()?;
        let buffers = allocate(gpu, recording)?;
        let steps = bind(gpu, recording, &buffers)?;
        let mut end = 0;
        let outputs: Vec<_> = (recording.slots().iter().enumerate())
            .filter(|(_, info)| info.output)
            .map(|(i, info)| {
                let start = end;
                end += info.len as u64 * 4;
                (Slot(i), start..end)
            })
            .collect();
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&gpu.device, "read-back buffer", || create(gpu, "read-back", end.max(4), usage))?;
        gpu.fault.check()?;
        Ok(Self { gpu: gpu.clone(), buffers, steps, outputs, staging })
    }

    /// Overwrites the start of `slot`; takes effect before the next play.
    pub fn write(&self, slot: Slot, bytes: &[u8]) {
        self.gpu.queue.write_buffer(&self.buffers[slot.index()], 0, bytes);
    }

    /// Plays `steps` of the recording in one submission and returns the outputs, by slot.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone, [`EngineError::Timeout`] if it hangs.
    pub fn play(&self, recording: &Recording, steps: Range<usize>) -> Result<Vec<(Slot, Vec<f32>)>, EngineError> {
        self.gpu.fault.check()?;
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("play") });
        {
            let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            for (step, bound) in recording.steps()[steps.clone()].iter().zip(&self.steps[steps]) {
                self.encode(&mut pass, step, bound);
            }
        }
        for (slot, bytes) in &self.outputs {
            encoder.copy_buffer_to_buffer(&self.buffers[slot.index()], 0, &self.staging, bytes.start, bytes.end - bytes.start);
        }
        self.submit(encoder)?;
        let whole = read(&self.gpu, &self.staging)?;
        Ok(self.outputs.iter().map(|(slot, bytes)| (*slot, whole[bytes.start as usize / 4..bytes.end as usize / 4].to_vec())).collect())
    }

    /// Contents of any slot as they are now, for tests and `doctor`.
    ///
    /// # Errors
    ///
    /// As [`GpuSession::play`].
    pub fn peek(&self, slot: Slot) -> Result<Vec<f32>, EngineError> {
        let buffer = &self.buffers[slot.index()];
        let usage = wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST;
        let staging = scoped(&self.gpu.device, "peek buffer", || create(&self.gpu, "peek", buffer.size(), usage))?;
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("peek") });
        encoder.copy_buffer_to_buffer(buffer, 0, &staging, 0, buffer.size());
        self.submit(encoder)?;
        read(&self.gpu, &staging)
    }

    fn encode(&self, pass: &mut wgpu::ComputePass<'_>, step: &Step, bound: &BoundStep) {
        pass.set_pipeline(&bound.pipeline);
        pass.set_bind_group(0, &bound.bindings, &[]);
        match step.counted {
            Some(counted) => pass.dispatch_workgroups_indirect(&self.buffers[counted.slot.index()], counted.index as u64 * 16),
            None => pass.dispatch_workgroups(bound.groups[0], bound.groups[1], 1),
        }
    }

    fn submit(&self, encoder: wgpu::CommandEncoder) -> Result<(), EngineError> {
        scoped(&self.gpu.device, "submission", || self.gpu.queue.submit([encoder.finish()]))?;
        self.gpu.fault.check()
    }
}

fn create(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}

fn allocate(gpu: &Gpu, recording: &Recording) -> Result<Vec<wgpu::Buffer>, EngineError> {
    let limit = gpu.device.limits().max_storage_buffer_binding_size;
    let counts: Vec<Slot> = recording.steps().iter().filter_map(|step| step.counted.map(|c| c.slot)).collect();
    let mut buffers = Vec::new();
    for (i, info) in recording.slots().iter().enumerate() {
        let bytes = info.len as u64 * 4;
        if bytes > limit {
            return Err(EngineError::TooLarge { slot: info.label.clone(), bytes, limit });
        }
        let mut usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        if counts.contains(&Slot(i)) {
            usage |= wgpu::BufferUsages::INDIRECT;
        }
        // A binding of an array of vec4 or of a struct needs at least one whole element.
        let buffer = scoped(&gpu.device, &info.label, || create(gpu, &info.label, bytes.next_multiple_of(16).max(64), usage))?;
        if let Some(data) = &info.constant {
            gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(data));
        }
        buffers.push(buffer);
    }
    Ok(buffers)
}

fn bind(gpu: &Gpu, recording: &Recording, buffers: &[wgpu::Buffer]) -> Result<Vec<BoundStep>, EngineError> {
    let mut bytes = vec![0; UNIFORM_ALIGN * recording.steps().len().max(1)];
    for (chunk, step) in bytes.chunks_exact_mut(UNIFORM_ALIGN).zip(recording.steps()) {
        let uniform = step.kernel.uniform();
        chunk[..uniform.len()].copy_from_slice(uniform);
    }
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniforms = scoped(&gpu.device, "uniforms", || create(gpu, "uniforms", bytes.len() as u64, usage))?;
    gpu.queue.write_buffer(&uniforms, 0, &bytes);
    let bind_one = |(i, step): (usize, &Step)| {
        let pipeline = gpu.pipeline(&*step.kernel)?;
        let bindings = scoped(&gpu.device, step.kernel.name(), || bind_group(gpu, step, &pipeline, &uniforms, i, buffers))?;
        let work = step.kernel.work();
        let groups = work.groups(work.most(), step.kernel.workgroup()[0]);
        Ok(BoundStep { pipeline, bindings, groups })
    };
    recording.steps().iter().enumerate().map(bind_one).collect()
}

fn bind_group(
    gpu: &Gpu,
    step: &Step,
    pipeline: &wgpu::ComputePipeline,
    uniforms: &wgpu::Buffer,
    index: usize,
    buffers: &[wgpu::Buffer],
) -> wgpu::BindGroup {
    let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer: uniforms,
        offset: (index * UNIFORM_ALIGN) as u64,
        size: std::num::NonZeroU64::new(step.kernel.uniform().len().next_multiple_of(16) as u64),
    });
    let storage = step.slots.iter().map(|slot| buffers[slot.index()].as_entire_binding());
    let entries: Vec<_> =
        std::iter::once(uniform).chain(storage).zip(0..).map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource }).collect();
    let layout = pipeline.get_bind_group_layout(0);
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(step.kernel.name()), layout: &layout, entries: &entries })
}

/// Waits for the device, then copies a mapped buffer out.
fn read(gpu: &Gpu, buffer: &wgpu::Buffer) -> Result<Vec<f32>, EngineError> {
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |result| {
        let _ = sender.send(result);
    });
    let wait = wgpu::PollType::Wait { submission_index: None, timeout: Some(Gpu::TIMEOUT) };
    // wgpu panics where a driver's wait fails: that is a lost device like any other, and the session is dropped after it.
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| gpu.device.poll(wait)));
    gpu.fault.check()?;
    let polled = polled.map_err(|_| EngineError::Lost { message: "the driver failed while it was waited for".to_owned() })?;
    if matches!(polled, Err(wgpu::PollError::Timeout)) {
        return Err(EngineError::Timeout { seconds: Gpu::TIMEOUT.as_secs() });
    }
    let lost = |message: String| EngineError::Lost { message };
    // Another thread's poll may have taken this callback and be about to run it.
    match receiver.recv_timeout(Gpu::TIMEOUT) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(lost(format!("mapping failed: {error}"))),
        Err(_) => return Err(lost("the device never finished mapping".to_owned())),
    }
    let view = buffer.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
    let data = bytemuck::pod_collect_to_vec(&view);
    drop(view);
    buffer.unmap();
    Ok(data)
}
