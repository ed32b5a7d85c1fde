//! The GPU engine, the only module that uses wgpu.

mod adapter;
mod counts;
mod device;
mod fault;
mod frame;
mod lane;
mod mapping;
mod profile;
mod session;
mod steps;
mod views;

pub use adapter::AdapterReport;
pub use device::Gpu;
pub use frame::GpuFrame;
pub use session::{GpuFlight, GpuSession};
