//! The steps of a recording on the device: pipelines, uniforms, bind groups.

use super::device::{Gpu, create};
use super::fault::scoped;
use super::views::View;
use crate::engine::EngineError;
use crate::record::{Counted, Recording, Slot, Step};

/// Distance of the uniforms of two steps, bytes.
const UNIFORM_ALIGN: usize = Counted::WORDS * 4;

/// A step with what the device needs to run it.
pub struct BoundStep {
    pub pipeline: wgpu::ComputePipeline,
    /// For a step that touches an input, the bind group of the first lane.
    pub bindings: wgpu::BindGroup,
    pub groups: [u32; 2],
}

/// Creates one buffer with the uniforms of all steps, and writes those of counted steps to their slots.
pub fn uniforms(gpu: &Gpu, recording: &Recording, views: &[View]) -> Result<wgpu::Buffer, EngineError> {
    let mut bytes = vec![0; UNIFORM_ALIGN * recording.steps().len().max(1)];
    for (chunk, step) in bytes.chunks_exact_mut(UNIFORM_ALIGN).zip(recording.steps()) {
        let uniform = step.kernel.uniform();
        chunk[..uniform.len()].copy_from_slice(uniform);
        if let Some(Counted { slot, index }) = step.counted {
            let view = &views[slot.index()];
            gpu.queue.write_buffer(&view.buffer, view.start + (index * UNIFORM_ALIGN) as u64, chunk);
        }
    }
    let usage = wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST;
    let uniforms = scoped(&gpu.device, "uniforms", || create(gpu, "uniforms", bytes.len() as u64, usage))?;
    gpu.queue.write_buffer(&uniforms, 0, &bytes);
    Ok(uniforms)
}

/// Compiles and binds every step.
pub fn bind(gpu: &Gpu, recording: &Recording, uniforms: &wgpu::Buffer, views: &[View]) -> Result<Vec<BoundStep>, EngineError> {
    let limit = gpu.device.limits().max_compute_workgroups_per_dimension;
    let bind_one = |(i, step): (usize, &Step)| {
        let groups = step.kernel.groups();
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

/// Binds the uniform and the slots of a step, which lie where `view` says.
pub fn bind_group<'a>(
    gpu: &Gpu,
    step: &Step,
    pipeline: &wgpu::ComputePipeline,
    uniforms: &'a wgpu::Buffer,
    index: usize,
    view: impl Fn(Slot) -> &'a View,
) -> wgpu::BindGroup {
    let (buffer, start) = match step.counted {
        Some(Counted { slot, index }) => (&view(slot).buffer, view(slot).start + (index * UNIFORM_ALIGN) as u64),
        None => (uniforms, (index * UNIFORM_ALIGN) as u64),
    };
    let uniform = wgpu::BindingResource::Buffer(wgpu::BufferBinding {
        buffer,
        offset: start,
        size: std::num::NonZeroU64::new(step.kernel.uniform().len().next_multiple_of(16) as u64),
    });
    let storage = step.slots.iter().map(|slot| view(*slot).resource());
    let entries: Vec<_> =
        std::iter::once(uniform).chain(storage).zip(0..).map(|(resource, binding)| wgpu::BindGroupEntry { binding, resource }).collect();
    let layout = pipeline.get_bind_group_layout(0);
    gpu.device.create_bind_group(&wgpu::BindGroupDescriptor { label: Some(step.kernel.name()), layout: &layout, entries: &entries })
}
