//! Kernels that do one thing only: what other kernels' speed is a fraction of.

mod peak;
mod stream;

pub use peak::Peak;
pub use stream::Stream;
