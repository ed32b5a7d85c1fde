//! Training of the nets: one step is one recording, and one submission on a GPU (spec section 4).

#[cfg(feature = "cli")]
pub mod checkpoint;
#[cfg(feature = "cli")]
pub mod config;
#[cfg(feature = "cli")]
pub mod crops;
mod evaluator;
mod init;
#[cfg(feature = "cli")]
pub mod learner;
#[cfg(feature = "cli")]
pub mod metrics;
mod optimizer;
#[cfg(feature = "cli")]
pub mod run;
pub mod schedule;
mod step;

pub use evaluator::Evaluator;
pub use init::{Initialization, initial_weights};
pub use optimizer::Optimizer;
pub use step::{Batch, Objective, TrainError, Trainer};
