//! The cascade: image pyramid, P-Net, R-Net, O-Net.

mod config;
mod detector;
mod plan;
mod pyramid;
mod stage;

pub use config::{Capacity, Config, ConfigError, Resampling};
pub use detector::{DetectError, Detections, Detector, Face, Frame, StageCounts};
