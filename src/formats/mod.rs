//! File formats that are nobody's own: what annotations and weights of others come in. Each reader knows its
//! format and nothing of what is kept in it.

pub(crate) mod bytes;
#[cfg(feature = "toolkit")]
pub(crate) mod matlab;
#[cfg(feature = "toolkit")]
pub(crate) mod npy;
#[cfg(feature = "toolkit")]
pub(crate) mod onnx;
#[cfg(feature = "toolkit")]
pub(crate) mod pickle;
#[cfg(feature = "toolkit")]
pub(crate) mod protobuf;
#[cfg(feature = "toolkit")]
pub(crate) mod sqlite;
