//! Kernels that measure the peak rates to which the speed of other kernels is compared.

mod peak;
mod stream;

pub use peak::Peak;
pub use stream::Stream;
