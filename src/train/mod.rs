//! Training of the nets: one step is one recording, and one submission on a GPU (spec section 4).

#[cfg(feature = "toolkit")]
pub mod checkpoint;
#[cfg(feature = "toolkit")]
pub mod config;
#[cfg(feature = "toolkit")]
pub mod crops;
mod evaluator;
mod init;
#[cfg(feature = "toolkit")]
pub mod learner;
#[cfg(feature = "toolkit")]
pub mod metrics;
mod optimizer;
#[cfg(feature = "toolkit")]
pub mod run;
pub mod schedule;
mod step;

pub use evaluator::Evaluator;
pub use init::{Initialization, initial_weights};
pub use optimizer::Optimizer;
pub use step::{Batch, Objective, TrainError, Trainer};
