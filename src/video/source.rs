//! What a video is read from.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A video file, the address of a stream, or a camera.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VideoSource {
    /// A file.
    File(PathBuf),
    /// An address that ffmpeg opens, such as `rtsp://host/stream`.
    Address(String),
    /// A camera, by the system's number or name.
    Camera(String),
}

/// Endings of the names of files that are taken for videos.
const ENDINGS: [&str; 16] =
    ["mp4", "mkv", "webm", "avi", "mov", "m4v", "mpg", "mpeg", "ts", "ogv", "wmv", "flv", "3gp", "y4m", "mjpeg", "h264"];

impl VideoSource {
    /// Returns the video that `text`, as a user types it, names: an address with `://`, `camera` or
    /// `camera:N`, if there is no file of that name, or a path that ends like one of a video. Returns `None`
    /// for anything else.
    pub fn of(text: &Path) -> Option<Self> {
        if let Some(text) = text.to_str() {
            if text.contains("://") {
                return Some(Self::Address(text.to_owned()));
            }
            let rest = text.strip_prefix("camera").filter(|_| !Path::new(text).exists());
            match rest.map(|rest| rest.split_at(rest.len().min(1))) {
                Some(("", "")) => return Some(Self::Camera("0".to_owned())),
                Some((":", name)) if !name.is_empty() => return Some(Self::Camera(name.to_owned())),
                _ => {}
            }
        }
        let ending = text.extension()?.to_str()?.to_ascii_lowercase();
        (ENDINGS.contains(&ending.as_str()) && !text.is_dir()).then(|| Self::File(text.to_owned()))
    }

    /// Returns the arguments by which ffmpeg opens the source. A file plays at its own speed if `real_time`,
    /// and else as fast as it is read.
    pub(super) fn arguments(&self, real_time: bool) -> Vec<OsString> {
        let (flags, input): (&[&str], OsString) = match self {
            // The protocol is named: a path may begin with a hyphen or contain a colon.
            Self::File(path) => {
                let mut input = OsString::from("file:");
                input.push(path);
                (if real_time { &["-re"] } else { &[] }, input)
            }
            Self::Address(address) => (&[], address.into()),
            Self::Camera(name) if cfg!(target_os = "macos") => (&["-f", "avfoundation"], name.into()),
            Self::Camera(number) if cfg!(windows) && number.parse::<u32>().is_ok() => (&["-f", "vfwcap"], number.into()),
            Self::Camera(name) if cfg!(windows) => (&["-f", "dshow"], format!("video={name}").into()),
            Self::Camera(name) if name.parse::<u32>().is_ok() => (&["-f", "v4l2"], format!("/dev/video{name}").into()),
            Self::Camera(path) => (&["-f", "v4l2"], path.into()),
        };
        flags.iter().map(Into::into).chain(["-i".into(), input]).collect()
    }
}

impl fmt::Display for VideoSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Address(address) => f.write_str(address),
            Self::Camera(name) => write!(f, "camera {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_understood() {
        let of = |text: &str| VideoSource::of(Path::new(text));
        assert_eq!(of("rtsp://host/stream"), Some(VideoSource::Address("rtsp://host/stream".to_owned())));
        assert_eq!(of("a/b.MP4"), Some(VideoSource::File("a/b.MP4".into())));
        assert_eq!(of("camera"), Some(VideoSource::Camera("0".to_owned())));
        assert_eq!(of("camera:2"), Some(VideoSource::Camera("2".to_owned())));
        for text in ["a/b.jpeg", "cameras", "camera:", "camera.png", "mp4", "", "-"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_folder_that_is_called_like_a_video_is_a_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("x.mp4");
        std::fs::create_dir(&path).expect("writable");
        assert_eq!(VideoSource::of(&path), None);
    }

    #[test]
    fn a_path_is_never_taken_for_an_option_or_a_protocol() {
        let arguments = VideoSource::File("-x:y.mp4".into()).arguments(true);
        assert_eq!(arguments, ["-re", "-i", "file:-x:y.mp4"].map(OsString::from));
    }
}
