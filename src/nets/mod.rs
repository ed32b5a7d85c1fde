//! The three nets, each one list of layers (spec section 2), and those they are compared with.

mod cost;
mod fused;
mod layer;
mod onet;
mod packed;
mod pnet;
pub mod rivals;
mod rnet;
mod states;
mod training;

pub use cost::Cost;
pub use fused::{Fused, Scratch, Tail};
pub use layer::{Activation, Forward, Layer, Net, NetError};
pub use onet::ONET;
pub use pnet::{PNET, PNET_WITH_LANDMARKS};
pub use rnet::{RNET, RNET_WITH_LANDMARKS};
pub use training::{Parameter, Training};
