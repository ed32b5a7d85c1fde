//! Weights of the three nets: names, shapes, files.
//!
//! [`Weights`] are tensors by name, kept in a safetensors file. Names and shapes are listed once, in [`names`]; orders are those of the
//! nets here: kernels `[out, in, row, column]`, dense inputs flattened channel, row, column. What others published in other orders goes
//! through `import` (feature `cli`), which undoes them.

mod bytes;
mod error;
pub mod names;
mod store;

#[cfg(feature = "cli")]
mod caffe;
#[cfg(feature = "cli")]
pub mod fetch;
#[cfg(feature = "cli")]
pub mod import;
#[cfg(feature = "cli")]
mod layout;
#[cfg(feature = "cli")]
mod numpy;
#[cfg(feature = "cli")]
mod pickle;
#[cfg(feature = "cli")]
mod protobuf;
#[cfg(feature = "cli")]
mod pytorch;

pub use error::WeightsError;
pub use store::Weights;
