//! Video files and streams.

use mtcmcn::video::{Playing, VideoError, VideoReader, VideoSource};

use super::{Picture, Source, SourceError, Stop};

/// Pixels of a frame at most: 16,384 x 16,384.
const MOST_PIXELS: u64 = 1 << 28;

/// A video that plays at its own speed.
#[derive(Debug)]
pub struct Video {
    input: VideoSource,
    reader: VideoReader,
}

impl Video {
    /// Opens a file or an address.
    ///
    /// # Errors
    ///
    /// [`SourceError::Video`] if ffmpeg is missing or does not start. Whether it can read the input shows
    /// with the first frame.
    pub fn open(input: VideoSource) -> Result<Self, SourceError> {
        let playing = Playing { every: 1, real_time: true, max_pixels: MOST_PIXELS };
        let reader = VideoReader::open(&input, playing).map_err(|error| trouble(&input, error))?;
        Ok(Self { input, reader })
    }
}

fn trouble(input: &VideoSource, error: VideoError) -> SourceError {
    SourceError::Video { input: input.to_string(), error }
}

impl Source for Video {
    fn next(&mut self) -> Result<Option<Picture>, SourceError> {
        let taken = self.reader.next().transpose().map_err(|error| trouble(&self.input, error))?;
        Ok(taken.map(|taken| Picture { frame: taken.frame, name: format!("{} #{}", self.input, taken.number - 1) }))
    }

    fn stop(&self) -> Option<Stop> {
        Some(Box::new(self.reader.stop()))
    }
}
