//! The desktop viewer: a source of frames, a thread that searches them, a window that shows what was found
//! and how.
//!
//! ```text
//! source -> feed (thread) -> mailbox, newest frame only -> worker (thread): searcher, tracker, recording
//!                                                             |
//!                          window: layout, panels, overlay  <- board: newest searched frame, statistics, messages
//! ```
//!
//! The window never waits for the search: it takes what the board holds. The frame is uploaded once, to the
//! window's device; the picture is drawn from that buffer, and a detector on the same device reads it too.
//! Logic ([`stages`], [`view`], [`stats`], [`keep`], [`settings`]) knows no widgets; [`panels`]
//! are functions of what they show.

pub mod app;
pub mod args;
pub mod feed;
pub mod keep;
pub mod keys;
mod layout;
pub mod lookup;
pub mod overlay;
pub mod panels;
pub mod picture;
pub mod report;
pub mod searcher;
pub mod settings;
pub mod source;
pub mod stages;
pub mod stats;
pub mod upload;
pub mod view;
pub mod walk;
pub mod window;
pub mod worker;
