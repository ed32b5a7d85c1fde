//! What each play in flight has to itself; everything else is shared, since submissions run in order.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::device::{Gpu, create};
use super::fault::scoped;
use super::mapping::Mapping;
use super::views::View;
use crate::engine::EngineError;
use crate::record::Slot;

/// Input buffers, the bind groups that refer to them, the buffer for reading results, and commands.
pub struct Lane {
    pub inputs: Vec<(Slot, View)>,
    /// Bind groups of the steps that touch an input, each with the index of its step.
    pub bindings: Vec<(usize, wgpu::BindGroup)>,
    pub staging: wgpu::Buffer,
    /// Where the host writes inputs; made for the first of them.
    pub upload: Option<Upload>,
    /// The input whose buffer the caller has lent.
    pub lent: Option<Slot>,
    /// Commands for the next play of the whole recording, encoded while the device was busy; and whether they
    /// bring up what the host has written.
    pub ahead: Option<(bool, wgpu::CommandBuffer)>,
}

impl Lane {
    /// Returns whether the host has written inputs that no submission has brought up yet.
    pub fn written(&self) -> bool {
        self.upload.as_ref().is_some_and(|upload| upload.written.load(Ordering::Relaxed))
    }

    /// Runs `submit`, a submission that brings up what the host has written.
    pub fn handing_over<T>(&self, submit: impl FnOnce() -> T) -> T {
        let Some(upload) = self.upload.as_ref().filter(|upload| upload.written.swap(false, Ordering::Relaxed)) else { return submit() };
        upload.buffer.unmap();
        let submitted = submit();
        upload.map();
        submitted
    }

    /// Appends the copy of what the host may have written to the buffers that the steps read.
    pub fn bring_up(&self, encoder: &mut wgpu::CommandEncoder) {
        for (upload, (slot, bytes)) in self.upload.iter().flat_map(|upload| upload.places.iter().map(move |place| (upload, place))) {
            let input = self.inputs.iter().find(|(input, _)| input == slot && self.lent != Some(*slot));
            if let Some((_, view)) = input {
                encoder.copy_buffer_to_buffer(&upload.buffer, bytes.start, &view.buffer, view.start, bytes.end - bytes.start);
            }
        }
    }
}

/// Memory that the host writes to and the device copies from, kept from play to play.
pub struct Upload {
    buffer: wgpu::Buffer,
    /// Inputs with their ranges of bytes.
    places: Vec<(Slot, Range<u64>)>,
    /// The mapping under way; `None` while the buffer is mapped.
    mapping: Mutex<Option<Mapping>>,
    written: AtomicBool,
}

impl Upload {
    /// Creates memory for `inputs`, mapped.
    ///
    /// # Errors
    ///
    /// [`EngineError::OutOfMemory`].
    pub fn new(gpu: &Gpu, inputs: &[(Slot, View)]) -> Result<Self, EngineError> {
        let mut end = 0;
        let places = inputs.iter().map(|(slot, view)| {
            let start = end;
            end += view.bytes;
            (*slot, start..end)
        });
        let places = places.collect();
        let usage = wgpu::BufferUsages::MAP_WRITE | wgpu::BufferUsages::COPY_SRC;
        let buffer = scoped(&gpu.device, "upload buffer", || create(gpu, "upload", end, usage))?;
        let upload = Self { buffer, places, mapping: Mutex::new(None), written: AtomicBool::new(false) };
        upload.map();
        Ok(upload)
    }

    fn mapping(&self) -> MutexGuard<'_, Option<Mapping>> {
        self.mapping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map(&self) {
        *self.mapping() = Some(Mapping::of(&self.buffer, wgpu::MapMode::Write));
    }

    /// Writes `bytes` to the input `slot`, from byte `start` on.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] if the device is gone.
    pub fn write(&self, gpu: &Gpu, slot: Slot, start: usize, bytes: &[u8]) -> Result<(), EngineError> {
        if let Some(mapping) = self.mapping().take() {
            mapping.wait(gpu, None)?;
        }
        let Some((_, place)) = self.places.iter().find(|(input, _)| *input == slot) else { unreachable!("an input of this lane") };
        let mut view = self.buffer.get_mapped_range_mut(place.clone()).map_err(|error| EngineError::Lost { message: error.to_string() })?;
        view.slice(start..start + bytes.len()).copy_from_slice(bytes);
        self.written.store(true, Ordering::Relaxed);
        Ok(())
    }
}
