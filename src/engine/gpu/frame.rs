//! [`GpuFrame`]: a frame in device memory, uploaded once for both the detector and rendering.

use super::device::{Gpu, create};
use super::fault::scoped;
use crate::engine::EngineError;

/// Packed pixels on a device, 4 bytes R, G, B, A each, row by row, in a storage buffer that
/// [`crate::Detector::submit_uploaded`] reads and that the caller's shaders may read as well.
#[derive(Debug, Clone)]
pub struct GpuFrame {
    pub(super) gpu: Gpu,
    pub(super) buffer: wgpu::Buffer,
    size: [u32; 2],
}

impl GpuFrame {
    /// Creates a frame of `width x height` pixels; its contents are undefined until [`GpuFrame::write`].
    ///
    /// # Errors
    ///
    /// [`EngineError::TooLarge`] if the buffer exceeds the device's largest binding,
    /// [`EngineError::OutOfMemory`], [`EngineError::Lost`].
    pub fn new(gpu: &Gpu, width: u32, height: u32) -> Result<Self, EngineError> {
        gpu.fault.check()?;
        let bytes = u64::from(width) * u64::from(height) * 4;
        let limit = gpu.device.limits().max_storage_buffer_binding_size;
        if bytes > limit {
            return Err(EngineError::TooLarge { slot: "frame".to_owned(), bytes, limit });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        // As large as a session's own buffer, as required by a binding of vec4.
        let size = bytes.next_multiple_of(16).max(64);
        let buffer = scoped(&gpu.device, "frame", || create(gpu, "frame", size, usage))?;
        Ok(Self { gpu: gpu.clone(), buffer, size: [width, height] })
    }

    /// Uploads rows of R, G, B, A bytes. Work that was submitted before still uses the old contents.
    ///
    /// # Panics
    ///
    /// Panics if `rgba` is longer than the frame.
    pub fn write(&self, rgba: &[u8]) {
        assert!(rgba.len() as u64 <= self.buffer.size(), "write past the end of a frame");
        self.gpu.counts.wrote(rgba.len());
        self.gpu.queue.write_buffer(&self.buffer, 0, rgba);
        // Without this, the data waits for the next submission, and writes to frames that are never drawn
        // pile up in memory.
        self.gpu.queue.submit([]);
    }

    /// Returns the numbers of columns and rows, px.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// Returns the buffer of pixels, for a read-only storage binding or a copy.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}
