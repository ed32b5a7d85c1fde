//! Kernels that show faults of drivers.

mod loops;

pub use loops::Loops;
