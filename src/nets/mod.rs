//! The three nets, each one list of layers (spec section 2).

mod layer;
mod onet;
mod pnet;
mod rnet;
mod training;

pub use layer::{Forward, Layer, Net, NetError};
pub use onet::ONET;
pub use pnet::{PNET, PNET_WITH_LANDMARKS};
pub use rnet::{RNET, RNET_WITH_LANDMARKS};
pub use training::{Parameter, Training};
