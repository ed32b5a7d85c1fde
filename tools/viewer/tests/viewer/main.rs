//! The viewer: its logic and layout without a window, and the real program in a real one.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bench;
mod panels;
mod searcher;
#[cfg(target_os = "linux")]
mod window;
