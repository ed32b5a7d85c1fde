//! What one command that trains has for all its nets.

use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use mtcmcn::Engine;
use mtcmcn::train::config::TrainConfig;

use super::stop;

/// What all runs of one command share.
pub struct TrainSession {
    pub engine: Engine,
    pub stop: &'static AtomicBool,
    pub quiet: bool,
}

impl TrainSession {
    /// On the device that the settings name; from now on Ctrl-C is taken care of.
    pub fn open(config: &TrainConfig, quiet: bool) -> Result<Self> {
        let Ok(device) = config.run.device.parse();
        let engine = Engine::open(&device).with_context(|| format!("run.device = {:?}", config.run.device))?;
        tracing::info!("training on {}", engine.name());
        Ok(Self { engine, stop: stop::on_interrupt(quiet)?, quiet })
    }
}
