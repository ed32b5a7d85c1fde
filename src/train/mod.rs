//! Training of the nets; one step is one recording, and one submission on a GPU (spec section 4).

mod batch;
mod cascade;
#[cfg(feature = "toolkit")]
pub mod checkpoint;
#[cfg(feature = "toolkit")]
pub mod config;
#[cfg(feature = "toolkit")]
pub mod crops;
mod init;
#[cfg(feature = "toolkit")]
pub mod learner;
mod meters;
#[cfg(feature = "toolkit")]
pub mod metrics;
mod optimizer;
mod recipe;
#[cfg(feature = "toolkit")]
pub mod run;
pub mod schedule;
mod trainer;

pub use batch::{Batch, Objective};
pub use cascade::{CropInputs, NetRecipe};
pub use init::{Initialization, initial_weights};
pub use meters::Meters;
pub use optimizer::{OPTIMIZER, Optimizer};
pub use recipe::{Beat, Program, RING, Recipe, ReportSlots};
pub use trainer::{StepReport, TrainError, Trainer};
