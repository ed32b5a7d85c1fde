//! Weights of the three nets: names, shapes, files.
//!
//! [`Weights`] are tensors by name, kept in a safetensors file. Names and shapes are listed once, in
//! [`names`]; orders are those of the nets here: kernels `[out, in, row, column]`, dense inputs flattened
//! channel, row, column. What others published in other orders goes through `import` (feature `toolkit`),
//! which undoes them.

mod builtin;
mod error;
pub mod names;
mod store;

#[cfg(feature = "toolkit")]
mod archive;
#[cfg(feature = "toolkit")]
mod caffe;
#[cfg(feature = "toolkit")]
pub mod import;
#[cfg(feature = "toolkit")]
mod layout;
#[cfg(feature = "toolkit")]
mod numpy;
#[cfg(feature = "toolkit")]
mod pytorch;

pub use error::WeightsError;
pub use store::Weights;
