//! Nets as graphs: the layers with their forward and backward passes, the nets of the cascade and those that
//! they are compared with, and the parts of recognisers.

pub mod attention;
mod cascade;
mod cost;
mod fold;
mod fuse;
mod graph;
pub mod heads;
pub mod ir;
pub mod layer;
mod model;
mod net;
#[cfg(feature = "toolkit")]
pub mod onnx;
mod parameter;
mod parameters;
mod pass;
pub mod rivals;

pub use cascade::{ONET, PNET, PNET_WITH_LANDMARKS, RNET, RNET_WITH_LANDMARKS};
pub use cost::Cost;
pub use fuse::{Activations, Fused, Tail};
pub use graph::{Graph, Node, NodeId};
pub use layer::Layer;
pub use model::{Model, ModelError};
pub use net::{Blocks, Net, NetError, NetGraph, Nonlinearity};
pub use parameter::{Initial, Parameter};
pub use parameters::{Learned, Parameters};
pub use pass::Pass;
