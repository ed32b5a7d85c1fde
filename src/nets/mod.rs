//! The three nets, each one list of layers (spec section 2), and those they are compared with.

mod cost;
mod layer;
mod onet;
mod pnet;
pub mod rivals;
mod rnet;

pub use cost::Cost;
pub use layer::{Activation, Forward, Layer, Net, NetError};
pub use onet::ONET;
pub use pnet::PNET;
pub use rnet::RNET;
