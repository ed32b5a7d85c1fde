//! Training of the nets: one step is one recording, and one submission on a GPU (spec section 4).

mod init;
mod optimizer;
mod step;

pub use init::initial_weights;
pub use optimizer::Optimizer;
pub use step::{Batch, Evaluator, Objective, TrainError, Trainer};
