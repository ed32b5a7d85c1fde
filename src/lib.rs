//! Face detection and alignment by a cascade of three small networks, in hand-written compute kernels.

pub mod cascade;
pub mod engine;
pub mod geometry;
pub mod kernels;
pub mod nets;
pub mod record;
pub mod tensor;
pub mod weights;

pub use cascade::{Capacity, Config, ConfigError, DetectError, Detections, Detector, Face, Frame};
pub use engine::{Device, Engine, EngineError};
pub use weights::Weights;
