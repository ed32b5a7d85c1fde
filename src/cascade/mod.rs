//! The cascade: image pyramid, P-Net, R-Net, O-Net.

mod config;
mod detector;
mod found;
mod plan;
mod propose;
mod pyramid;
mod stage;
mod trace;

pub use config::{Capacity, Config, ConfigError, Resampling};
pub use detector::Detector;
pub use found::{DetectError, Detections, Face, Frame, StageCounts, Ticket};
pub use propose::{Depth, Proposals, Proposer};
pub use trace::{HeatMap, Judged, Proposal, Trace};
