//! The buffers of a recording, and the slots as ranges of them.

use super::device::{Gpu, create};
use super::fault::scoped;
use crate::engine::EngineError;
use crate::engine::memory::Layout;
use crate::record::{Recording, Role, Slot, SlotInfo};

/// The range of a buffer that holds a slot.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct View {
    pub buffer: wgpu::Buffer,
    pub start: u64,
    /// Size of the slot in bytes, rounded up to whole `vec4`s.
    pub bytes: u64,
}

impl View {
    pub fn whole(buffer: wgpu::Buffer) -> Self {
        let bytes = buffer.size();
        Self { buffer, start: 0, bytes }
    }

    pub fn resource(&self) -> wgpu::BindingResource<'_> {
        let size = std::num::NonZeroU64::new(self.bytes);
        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer: &self.buffer, offset: self.start, size })
    }
}

/// Allowed usages of every slot's buffer.
pub(super) const USAGE: wgpu::BufferUsages =
    wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_DST).union(wgpu::BufferUsages::COPY_SRC);

/// Returns the size in bytes of a buffer of `len` elements: a binding of an array of vec4 or of a struct
/// needs at least one whole element.
fn bytes(len: usize) -> u64 {
    (len as u64 * 4).next_multiple_of(16).max(64)
}

pub(super) fn storage(gpu: &Gpu, label: &str, len: usize, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    create(gpu, label, bytes(len), usage)
}

/// Allocates the buffers of `layout`, uploads the constants and returns the views of all slots.
pub(super) fn allocate(gpu: &Gpu, recording: &Recording, layout: &Layout) -> Result<Vec<View>, EngineError> {
    let limits = gpu.device.limits();
    let mut usages = vec![(USAGE, ""); layout.buffers.len()];
    for (i, info) in recording.slots().iter().enumerate() {
        let bytes = info.len as u64 * 4;
        let limit = if info.uniform { limits.max_uniform_buffer_binding_size } else { limits.max_storage_buffer_binding_size };
        // An arena may be larger than any binding, since only its ranges are bound.
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
        usages[layout.place(counted.slot).buffer].0 |= wgpu::BufferUsages::UNIFORM;
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
