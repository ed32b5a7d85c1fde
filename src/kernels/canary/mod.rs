//! Kernels that detect driver faults.

mod loops;

pub use loops::Loops;
