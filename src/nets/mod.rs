//! Nets as graphs: their layers, forward and backward, and the nets of the cascade with those that they are compared with.

mod cascade;
mod cost;
mod fuse;
mod graph;
pub mod ir;
pub mod layer;
mod net;
mod parameter;
mod parameters;
mod pass;
pub mod rivals;

pub use cascade::{ONET, PNET, PNET_WITH_LANDMARKS, RNET, RNET_WITH_LANDMARKS};
pub use cost::Cost;
pub use fuse::{Activations, Fused, Tail};
pub use graph::{Graph, Node, NodeId};
pub use layer::Layer;
pub use net::{Blocks, Net, NetError, NetGraph, Nonlinearity};
pub use parameter::{Initial, Parameter};
pub use parameters::{Learned, Parameters};
pub use pass::Pass;
