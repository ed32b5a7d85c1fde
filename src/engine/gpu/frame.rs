//! [`GpuFrame`]: a frame in device memory, uploaded once for the detector and for whoever draws it.

use super::device::{Gpu, create};
use super::fault::scoped;
use crate::engine::EngineError;

/// Packed pixels on a device, 4 bytes R, G, B, A each, row by row: a storage buffer that [`crate::Detector::submit_uploaded`] reads and
/// that the caller may read in shaders of its own.
#[derive(Debug, Clone)]
pub struct GpuFrame {
    pub(super) gpu: Gpu,
    pub(super) buffer: wgpu::Buffer,
    size: [u32; 2],
}

impl GpuFrame {
    /// Room for a frame of `width x height` pixels; its contents are undefined until [`GpuFrame::write`].
    ///
    /// # Errors
    ///
    /// [`EngineError::TooLarge`] if the device binds no buffer of this size, [`EngineError::OutOfMemory`], [`EngineError::Lost`].
    pub fn new(gpu: &Gpu, width: u32, height: u32) -> Result<Self, EngineError> {
        gpu.fault.check()?;
        let bytes = u64::from(width) * u64::from(height) * 4;
        let limit = gpu.device.limits().max_storage_buffer_binding_size;
        if bytes > limit {
            return Err(EngineError::TooLarge { slot: "frame".to_owned(), bytes, limit });
        }
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
        // As large as a session's own, which a binding of vec4 may ask for.
        let size = bytes.next_multiple_of(16).max(64);
        let buffer = scoped(&gpu.device, "frame", || create(gpu, "frame", size, usage))?;
        Ok(Self { gpu: gpu.clone(), buffer, size: [width, height] })
    }

    /// Uploads rows of R, G, B, A bytes; searches and draws submitted before still see the old ones.
    ///
    /// # Panics
    ///
    /// If `rgba` is longer than the frame.
    pub fn write(&self, rgba: &[u8]) {
        assert!(rgba.len() as u64 <= self.buffer.size(), "write past the end of a frame");
        self.gpu.counts.wrote(rgba.len());
        self.gpu.queue.write_buffer(&self.buffer, 0, rgba);
        // Else it waits for somebody's next submission, and what was written to frames that nobody draws piles up in memory.
        self.gpu.queue.submit([]);
    }

    /// Columns and rows, px.
    pub fn size(&self) -> [u32; 2] {
        self.size
    }

    /// The pixels, for a read-only storage binding or a copy.
    pub fn buffer(&self) -> &wgpu::Buffer {
        &self.buffer
    }
}
