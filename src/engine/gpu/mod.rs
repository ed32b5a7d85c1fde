//! The GPU engine: the only place that names wgpu.

mod adapter;
mod counts;
mod device;
mod fault;
mod frame;
mod profile;
mod session;

pub use adapter::AdapterReport;
pub use device::Gpu;
pub use frame::GpuFrame;
pub use session::{GpuFlight, GpuSession};
