//! Waiting for the device: for a submission, and for a buffer that the host is to read or write.

use std::sync::mpsc::{Receiver, channel};

use super::device::Gpu;
use crate::engine::EngineError;

/// A buffer that is being mapped.
#[derive(Debug)]
pub struct Mapping(Receiver<Result<(), wgpu::BufferAsyncError>>);

impl Mapping {
    /// Starts to map all of `buffer`, which happens when the submissions that use it are done.
    pub fn of(buffer: &wgpu::Buffer, mode: wgpu::MapMode) -> Self {
        let (sender, receiver) = channel();
        buffer.map_async(mode, .., move |result| {
            let _ = sender.send(result);
        });
        Self(receiver)
    }

    /// Waits until the buffer is mapped; `submission` is the last one that uses it, if any.
    ///
    /// # Errors
    ///
    /// As for [`wait`].
    pub fn wait(&self, gpu: &Gpu, submission: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
        let told = match (self.0.try_recv(), submission) {
            (Ok(told), _) => Ok(told),
            (Err(_), submission) => {
                wait(gpu, submission)?;
                // Another thread's poll may have taken this callback without having run it yet.
                self.0.recv_timeout(Gpu::TIMEOUT)
            }
        };
        let lost = |message: String| EngineError::Lost { message };
        match told {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(lost(format!("mapping failed: {error}"))),
            Err(_) => Err(lost("the device never finished mapping".to_owned())),
        }
    }
}

/// Waits until the device has completed `submission` and all earlier ones, or all there are.
///
/// # Errors
///
/// [`EngineError::Lost`] if the device is gone, [`EngineError::Timeout`] if it hangs.
pub fn wait(gpu: &Gpu, submission: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
    let wait = wgpu::PollType::Wait { submission_index: submission, timeout: Some(Gpu::TIMEOUT) };
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

/// Passes the contents of a mapped buffer to `look`, which also returns the number of bytes that it has read,
/// and unmaps the buffer.
///
/// # Errors
///
/// [`EngineError::Lost`] if the buffer is not mapped.
pub fn read<T>(gpu: &Gpu, buffer: &wgpu::Buffer, look: impl FnOnce(&[f32]) -> (T, usize)) -> Result<T, EngineError> {
    let lost = |message: String| EngineError::Lost { message };
    let view = buffer.get_mapped_range(..).map_err(|error| lost(error.to_string()))?;
    let (seen, bytes) = look(bytemuck::try_cast_slice(&view).map_err(|error| lost(format!("mapped memory is misaligned: {error}")))?);
    gpu.counts.read_back(bytes);
    drop(view);
    buffer.unmap();
    Ok(seen)
}
