//! Where frames come from, behind one trait.

#[cfg(feature = "camera")]
pub mod camera;
mod files;
mod synthetic;
mod video;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtcmcn::Frame;
use mtcmcn::video::{VideoError, VideoSource};
use serde::{Deserialize, Serialize};

pub use files::Files;
pub use synthetic::Synthetic;
pub use video::Video;

/// Makes a source that waits for its next frame give up; called from another thread.
pub type Stop = Box<dyn Fn() + Send + Sync>;

/// Something that gives frames, one after another. Runs on a thread of its own, so it may block.
pub trait Source {
    /// The next frame, or `None` at the end.
    ///
    /// # Errors
    ///
    /// [`SourceError`]; after one that is not [`SourceError::passing`] the source is not asked again.
    fn next(&mut self) -> Result<Option<Picture>, SourceError>;

    /// How long to let pass between frames; zero for a source that keeps time itself.
    fn pace(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether one frame stays until the user asks for another.
    fn still(&self) -> bool {
        false
    }

    /// Whether frames follow each other in time, as those of a camera do.
    fn moving(&self) -> bool {
        true
    }

    /// What ends a wait for the next frame, if a wait can be long.
    fn stop(&self) -> Option<Stop> {
        None
    }

    /// Goes `by` frames on, where there is an order to go by.
    fn skip(&mut self, by: i64) {
        let _ = by;
    }
}

/// One frame with its name.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The pixels.
    pub frame: Frame,
    /// What a record calls it: a path, or the source and a number.
    pub name: String,
}

/// Why a source gave no frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// One of several files.
    #[error("{path}: {message}")]
    File {
        /// Which.
        path: String,
        /// Why.
        message: String,
    },
    /// A file or folder that is not there or not to be read.
    #[error("{path}: {message}")]
    Folder {
        /// Which.
        path: String,
        /// Why.
        message: String,
    },
    /// The folder has none.
    #[error("{path}: no images in this folder")]
    NoImages {
        /// Which.
        path: String,
    },
    /// A video that cannot be read, or not to its end.
    #[error("{input}: {error}")]
    Video {
        /// What was to be read.
        input: String,
        /// Why.
        error: VideoError,
    },
    /// A camera is gone, taken, forbidden or otherwise unusable.
    #[error("{camera}: {message}")]
    Camera {
        /// Which.
        camera: String,
        /// What the system says, and what to do.
        message: String,
    },
    /// The viewer was built without cameras.
    #[error("this viewer was built without cameras; build it with the feature `camera`")]
    NoCameras,
    /// The portrait of the synthetic scene.
    #[error("the built-in portrait does not decode: {0}")]
    Portrait(String),
}

impl SourceError {
    /// Whether the next frame may be had all the same.
    pub fn passing(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// Which camera, and how.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CameraSpec {
    /// As the system counts or names it.
    pub index: String,
    /// For people.
    pub name: String,
    /// Columns, rows, frames a second; `None` lets the camera choose.
    pub mode: Option<[u32; 3]>,
}

/// What a source is made from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceSpec {
    /// A portrait that moves.
    Synthetic,
    /// An image or a folder of them.
    Files(PathBuf),
    /// A video file, or an address that ffmpeg understands.
    Video(String),
    /// A camera.
    Camera(CameraSpec),
}

impl SourceSpec {
    /// From what was typed or dropped: `synthetic`, `camera` or `camera:1`, an address, a video file, or an
    /// image or folder.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        if text.eq_ignore_ascii_case("synthetic") {
            return Self::Synthetic;
        }
        if let Some(index) = text.strip_prefix("camera").and_then(|rest| if rest.is_empty() { Some("0") } else { rest.strip_prefix(':') }) {
            return Self::Camera(CameraSpec { index: index.to_owned(), name: format!("camera {index}"), mode: None });
        }
        Self::of_path(Path::new(text))
    }

    /// From a path that was dropped or chosen.
    pub fn of_path(path: &Path) -> Self {
        match VideoSource::of(path) {
            Some(video @ (VideoSource::File(_) | VideoSource::Address(_))) => Self::Video(video.to_string()),
            _ => Self::Files(path.to_owned()),
        }
    }

    /// Opens it; may take a while.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    pub fn open(&self) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Self::Synthetic => Box::new(Synthetic::new()?),
            Self::Files(path) => Box::new(Files::open(path)?),
            Self::Video(input) if input.contains("://") => Box::new(Video::open(VideoSource::Address(input.clone()))?),
            Self::Video(input) => Box::new(Video::open(VideoSource::File(input.into()))?),
            #[cfg(feature = "camera")]
            Self::Camera(spec) => Box::new(camera::Live::open(spec)?),
            #[cfg(not(feature = "camera"))]
            Self::Camera(_) => return Err(SourceError::NoCameras),
        })
    }
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Synthetic => f.write_str("synthetic"),
            Self::Files(path) => write!(f, "{}", path.display()),
            Self::Video(input) => f.write_str(input),
            Self::Camera(CameraSpec { name, mode: Some([w, h, fps]), .. }) => write!(f, "{name} ({w} x {h}, {fps} fps)"),
            Self::Camera(camera) => f.write_str(&camera.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood() {
        assert_eq!(SourceSpec::parse(" Synthetic "), SourceSpec::Synthetic);
        assert_eq!(SourceSpec::parse("rtsp://host/stream"), SourceSpec::Video("rtsp://host/stream".to_owned()));
        assert_eq!(SourceSpec::parse("a/b.MP4"), SourceSpec::Video("a/b.MP4".to_owned()));
        assert_eq!(SourceSpec::parse("a/b.jpeg"), SourceSpec::Files(PathBuf::from("a/b.jpeg")));
        assert_eq!(SourceSpec::parse("cameras/"), SourceSpec::Files(PathBuf::from("cameras/")));
        let SourceSpec::Camera(camera) = SourceSpec::parse("camera:2") else { panic!("a camera") };
        assert_eq!((camera.index.as_str(), camera.mode), ("2", None));
        assert!(matches!(SourceSpec::parse("camera"), SourceSpec::Camera(camera) if camera.index == "0"));
    }
}
