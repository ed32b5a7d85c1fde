//! Where a frame is in its file.

/// Which picture of its file a frame is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FramePlace {
    /// The only one that is searched.
    Only,
    /// One of several pages.
    Page { number: usize, count: usize },
    /// A frame of a video, by its number from 1 and the time when it is shown.
    Moment { number: u64, seconds: Option<f64> },
}

impl FramePlace {
    /// Number in its file, from 1, if it is not the only one.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::Only => None,
            Self::Page { number, .. } => Some(number as u64),
            Self::Moment { number, .. } => Some(number),
        }
    }

    /// Time in its video, seconds: where the video does not tell, at 25 frames a second.
    pub fn seconds(self) -> f64 {
        match self {
            Self::Moment { number, seconds } => seconds.unwrap_or(number as f64 / 25.0),
            _ => 0.0,
        }
    }
}
