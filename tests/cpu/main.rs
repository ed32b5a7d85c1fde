//! Tests that need no GPU.

#[cfg(feature = "cli")]
mod cli;
