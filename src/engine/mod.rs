//! Engines play recordings.

use std::str::FromStr;

/// Which device to run on. Parsed from `auto`, `gpu`, `cpu`, `twin`, a backend (`vulkan`, `metal`, `dx12`, `gl`) or part of an adapter's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// A hardware GPU if there is one, else the CPU engine.
    #[default]
    Auto,
    /// The best adapter, a software one if there is no other.
    Gpu,
    /// The native CPU engine.
    Cpu,
    /// The scalar reference of every kernel: slow, exact.
    Twin,
    /// The best adapter of one backend.
    Backend(String),
    /// The first adapter whose name contains this, ignoring case.
    Named(String),
}

impl FromStr for Device {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            "twin" => Self::Twin,
            "vulkan" | "metal" | "dx12" | "gl" => Self::Backend(text.to_ascii_lowercase()),
            _ => Self::Named(text.to_owned()),
        })
    }
}

/// Why an engine failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No adapter fits.
    #[error("no adapter")]
    NoAdapter,
}

/// Plays recordings on one device.
#[derive(Debug, Clone)]
pub struct Engine;

impl Engine {
    /// Opens `device`.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoAdapter`] if none fits.
    pub fn open(_device: &Device) -> Result<Self, EngineError> {
        Ok(Self)
    }

    /// What the engine runs on, in words.
    pub fn name(&self) -> String {
        "cpu".into()
    }
}
