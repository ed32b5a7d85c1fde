//! Weights of the three nets: names, shapes, files.
//!
//! [`Weights`] are tensors by name, kept in a safetensors file. Names and shapes are listed once, in [`names`]; orders are those of the
//! nets here: kernels `[out, in, row, column]`, dense inputs flattened channel, row, column. What others published in other orders goes
//! through `import` (feature `cli`), which undoes them.

mod builtin;
mod bytes;
mod error;
pub mod names;
mod store;

#[cfg(feature = "cli")]
mod caffe;
#[cfg(feature = "cli")]
pub mod import;
#[cfg(feature = "cli")]
mod layout;
#[cfg(feature = "cli")]
mod numpy;
#[cfg(feature = "cli")]
pub(crate) mod pickle;
#[cfg(feature = "cli")]
mod protobuf;
#[cfg(feature = "cli")]
mod pytorch;

#[cfg(feature = "cli")]
pub(crate) use bytes::{f16s, f32s};
pub use error::WeightsError;
pub use store::Weights;
