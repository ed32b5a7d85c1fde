//! The cascade: image pyramid, P-Net, R-Net, O-Net.

mod config;
mod detector;
mod found;
mod plan;
mod propose;
mod pyramid;
mod ready;
mod result;
mod stage;
mod stream;
mod trace;

pub use config::{Capacity, Config, ConfigError, Resampling};
pub use detector::{Detector, recording};
pub use found::{DetectError, Detections, Face, Frame, StageCounts, Ticket};
pub use plan::Depth;
pub use propose::{Proposals, Proposer};
pub use trace::{HeatMap, Judged, Proposal, Trace};
