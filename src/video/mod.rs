//! Video: files, streams and cameras as frames with their times, and faces that keep their number from frame
//! to frame (feature `toolkit`).
//!
//! The program `ffmpeg` decodes; [`VideoReader`] runs it as a process of its own.

mod pam;
mod reader;
mod source;
mod track;

pub use reader::{Playing, VideoError, VideoFrame, VideoReader};
pub use source::VideoSource;
pub use track::{Tracked, Tracker};
