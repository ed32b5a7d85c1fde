//! GPU trouble as a value: what went wrong is kept here and checked around every submission.

use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::EngineError;

/// The first thing that went wrong on a device; shared by its callbacks and its users.
#[derive(Debug, Clone, Default)]
pub struct DeviceFault(Arc<Mutex<Option<String>>>);

impl DeviceFault {
    /// Installs the device-lost and uncaptured-error callbacks of `device`.
    pub fn watch(device: &wgpu::Device) -> Self {
        let fault = Self::of_loss(device);
        let uncaptured = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| uncaptured.set(error.to_string())));
        fault
    }

    /// The same for a device that the caller works with too. What is not captured there is the caller's: wgpu 30, for example, neither
    /// configures a window's surface while another thread submits, nor draws on one that has another size by then, and the window tries
    /// again with its next frame. <https://github.com/emilk/egui/pull/8615>
    pub fn watch_shared(device: &wgpu::Device) -> Self {
        device.on_uncaptured_error(Arc::new(|error: wgpu::Error| tracing::info!("the caller's error on a shared device: {error}")));
        Self::of_loss(device)
    }

    fn of_loss(device: &wgpu::Device) -> Self {
        let fault = Self::default();
        let lost = fault.clone();
        device.set_device_lost_callback(move |reason, message| lost.set(format!("device lost ({reason:?}): {message}")));
        fault
    }

    fn set(&self, message: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(message);
    }

    /// The fault, if there was one.
    ///
    /// # Errors
    ///
    /// [`EngineError::Lost`] from the first fault on.
    pub fn check(&self) -> Result<(), EngineError> {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(message) => Err(EngineError::Lost { message: message.clone() }),
            None => Ok(()),
        }
    }
}

/// Runs `build` inside error scopes for validation, memory and internal errors.
///
/// # Errors
///
/// [`EngineError::OutOfMemory`] or [`EngineError::Rejected`], naming `what`.
pub fn scoped<T>(device: &wgpu::Device, what: &str, build: impl FnOnce() -> T) -> Result<T, EngineError> {
    let internal = device.push_error_scope(wgpu::ErrorFilter::Internal);
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let built = build();
    for scope in [validation, memory, internal] {
        if let Some(error) = pollster::block_on(scope.pop()) {
            let what = what.to_owned();
            return Err(match error {
                wgpu::Error::OutOfMemory { .. } => EngineError::OutOfMemory { what },
                error => EngineError::Rejected { what, message: error.to_string() },
            });
        }
    }
    Ok(built)
}
