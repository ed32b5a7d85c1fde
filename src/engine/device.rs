//! [`Device`]: which device to run on.

use std::fmt;
use std::str::FromStr;

/// The device to run on. Parsed from `auto`, `gpu`, `cpu`, `twin`, a backend (`vulkan`, `metal`, `dx12`,
/// `gl`) or part of an adapter's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// A hardware GPU if there is one, otherwise the CPU engine.
    #[default]
    Auto,
    /// The best adapter, which may be a software adapter if there is no other.
    Gpu,
    /// The native CPU engine.
    Cpu,
    /// The scalar reference of every kernel: slow but precise.
    Twin,
    /// The best adapter of one backend.
    Backend(String),
    /// The first adapter whose name contains this, ignoring case.
    Named(String),
}

impl FromStr for Device {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        Ok(match lower.as_str() {
            "" | "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            "twin" => Self::Twin,
            "vulkan" | "metal" | "dx12" | "gl" => Self::Backend(lower),
            _ => Self::Named(text.trim().to_owned()),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Twin => "twin",
            Self::Backend(name) | Self::Named(name) => name,
        })
    }
}
