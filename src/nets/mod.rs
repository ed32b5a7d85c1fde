//! The three nets, each one list of layers (spec section 2).

mod fused;
mod layer;
mod onet;
mod pnet;
mod rnet;

pub use fused::{Fused, Scratch, Tail};
pub use layer::{Forward, Layer, Net, NetError};
pub use onet::ONET;
pub use pnet::PNET;
pub use rnet::RNET;
