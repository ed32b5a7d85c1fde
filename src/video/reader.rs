//! [`VideoReader`]: an `ffmpeg` process that pipes the frames of a video, and tells of each when it is shown.
//!
//! Frames come as PAM pictures on its standard output. Its standard error has a line of the filter `showinfo`
//! for each frame before the frame itself, which tells the time, and whatever goes wrong. The frames are then
//! numbered anew at a constant rate: otherwise ffmpeg would repeat and drop frames of videos whose rate
//! changes.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::VideoSource;
use super::pam;
use crate::cascade::Frame;

/// The program that decodes.
const FFMPEG: &str = "ffmpeg";

/// Number of different complaints of ffmpeg that are told.
const MOST_COMPLAINTS: usize = 3;

/// How a video is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Playing {
    /// Every how many-th frame is given, from the first on; at least 1.
    pub every: u32,
    /// Whether a file plays at its own speed instead of as fast as it is read.
    pub real_time: bool,
    /// Videos whose frames have more pixels are refused.
    pub max_pixels: u64,
}

/// A frame of a video.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoFrame {
    /// The pixels.
    pub frame: Frame,
    /// Number in the video, from 1; frames that are left out count too.
    pub number: u64,
    /// Time at which it is shown, seconds from the start of the video, if the video tells.
    pub seconds: Option<f64>,
}

/// Errors of reading a video.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VideoError {
    /// The program that decodes video is missing.
    #[error("video needs the program `ffmpeg`, which is not on the PATH; install it (Debian: apt-get install ffmpeg)")]
    NoFfmpeg,
    /// ffmpeg does not start.
    #[error("ffmpeg does not start: {0}")]
    Start(io::Error),
    /// There is no frame to be had.
    #[error("ffmpeg cannot read it: {message}")]
    Unreadable {
        /// What ffmpeg says.
        message: String,
    },
    /// Frames were read, but not all, or not all of them are sound.
    #[error("{frames} frames were read, then it broke off or has damaged parts: {message}")]
    Broken {
        /// Number of frames read.
        frames: u64,
        /// What ffmpeg says.
        message: String,
    },
}

/// Gives the frames of a video, one after another; after an error none.
#[derive(Debug)]
pub struct VideoReader {
    child: Arc<Mutex<Child>>,
    frames: BufReader<ChildStdout>,
    times: Receiver<Option<f64>>,
    /// Drains standard error and returns the complaints; taken at the end.
    complaints: Option<JoinHandle<Vec<String>>>,
    playing: Playing,
    /// Number of frames given.
    read: u64,
}

impl VideoReader {
    /// Starts ffmpeg on `source`. Whether it can read it shows with the first frame.
    ///
    /// # Errors
    ///
    /// [`VideoError::NoFfmpeg`] if the program is missing, [`VideoError::Start`] if it does not start.
    pub fn open(source: &VideoSource, playing: Playing) -> Result<Self, VideoError> {
        Self::open_with(FFMPEG, source, playing)
    }

    fn open_with(program: &str, source: &VideoSource, playing: Playing) -> Result<Self, VideoError> {
        let mut command = Command::new(program);
        command.args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "level+info"]).args(source.arguments(playing.real_time));
        // The first stream of moving pictures: a cover of an album is none.
        command.args(["-map", "0:V:0", "-vf", &format!("framestep={},showinfo=checksum=0,settb=1/25,setpts=N", playing.every.max(1))]);
        command.args(["-r", "25", "-f", "image2pipe", "-c:v", "pam", "-pix_fmt", "rgba", "pipe:1"]);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => VideoError::NoFfmpeg,
            _ => VideoError::Start(error),
        })?;
        let (Some(frames), Some(words)) = (child.stdout.take(), child.stderr.take()) else { return Err(VideoError::NoFfmpeg) };
        let (sender, times) = channel();
        let complaints = std::thread::spawn(move || listen(BufReader::new(words), &sender));
        Ok(Self {
            child: Arc::new(Mutex::new(child)),
            frames: BufReader::with_capacity(1 << 20, frames),
            times,
            complaints: Some(complaints),
            playing,
            read: 0,
        })
    }

    /// Returns what ends the process from another thread, so that a wait for the next frame ends too.
    pub fn stop(&self) -> impl Fn() + Send + Sync + use<> {
        let child = self.child.clone();
        move || drop(killed(&child))
    }

    /// Ends the process, unless its output has ended and it is to end by itself; returns what went wrong, if
    /// anything: what ffmpeg says, how it ended, or `trouble`.
    fn end(&mut self, trouble: Option<String>, by_itself: bool) -> Option<VideoError> {
        let complaints = self.complaints.take()?;
        let status = if by_itself { waited(&self.child) } else { killed(&self.child) };
        let complaints = complaints.join().unwrap_or_default().join("; ");
        let message = match (trouble, status) {
            _ if complaints.contains("matches no streams") => "it has no video track".to_owned(),
            _ if !complaints.is_empty() => complaints,
            (_, Ok(status)) if by_itself && !status.success() => format!("ffmpeg ended early ({status})"),
            (Some(trouble), _) => trouble,
            (None, Err(error)) => error.to_string(),
            (None, Ok(_)) if self.read == 0 => "it gave no frame".to_owned(),
            (None, Ok(_)) => return None,
        };
        Some(if self.read == 0 { VideoError::Unreadable { message } } else { VideoError::Broken { frames: self.read, message } })
    }
}

impl Iterator for VideoReader {
    type Item = Result<VideoFrame, VideoError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.complaints.as_ref()?;
        let (trouble, by_itself) = match pam::read(&mut self.frames, self.playing.max_pixels) {
            Ok(Some(frame)) => {
                let number = self.read * u64::from(self.playing.every.max(1)) + 1;
                self.read += 1;
                // The line about a frame is written before the frame.
                let seconds = self.times.recv().ok().flatten();
                return Some(Ok(VideoFrame { frame, number, seconds }));
            }
            Ok(None) => (None, true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => (Some("its last frame is cut off".to_owned()), true),
            Err(error) => (Some(error.to_string()), false),
        };
        self.end(trouble, by_itself).map(Err)
    }
}

impl Drop for VideoReader {
    fn drop(&mut self) {
        let _ = killed(&self.child);
        if let Some(thread) = self.complaints.take() {
            let _ = thread.join();
        }
    }
}

fn killed(child: &Mutex<Child>) -> io::Result<std::process::ExitStatus> {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    child.wait()
}

fn waited(child: &Mutex<Child>) -> io::Result<std::process::ExitStatus> {
    child.lock().unwrap_or_else(PoisonError::into_inner).wait()
}

/// One line of ffmpeg's standard error.
#[derive(Debug, PartialEq)]
enum FfmpegLine<'a> {
    /// The time of the next frame, seconds, if it has one.
    Time(Option<f64>),
    /// Something went wrong.
    Complaint(&'a str),
    /// Anything else.
    Other,
}

impl<'a> FfmpegLine<'a> {
    /// Reads a line such as `[Parsed_showinfo_1 @ 0x5] [info] n:   0 pts:      0 pts_time:0` or
    /// `[mov @ 0x5] [error] moov atom not found`.
    fn parse(line: &'a str) -> Self {
        let tag = |text: &'a str| text.strip_prefix('[').and_then(|rest| rest.split_once("] "));
        let (who, level, text) = match tag(line) {
            Some((who, rest)) if who.contains(" @ ") => match tag(rest) {
                Some((level, text)) => (who, level, text),
                None => return Self::Other,
            },
            Some((level, text)) => ("", level, text),
            None => return Self::Other,
        };
        if ["error", "fatal", "panic"].contains(&level) {
            return Self::Complaint(text.trim());
        }
        let time = text.split_once(" pts_time:").filter(|_| who.starts_with("Parsed_showinfo_") && text.starts_with("n:"));
        time.map_or(Self::Other, |(_, rest)| Self::Time(rest.split_whitespace().next().and_then(|time| time.parse().ok())))
    }
}

/// Reads all that ffmpeg says, so that it never waits for a full pipe; sends times and returns the first
/// complaints.
fn listen(words: impl BufRead, times: &Sender<Option<f64>>) -> Vec<String> {
    let mut complaints: Vec<String> = Vec::new();
    // A line is short; what is longer is read in pieces.
    let mut lines = words;
    loop {
        let mut line = Vec::new();
        match (&mut lines).take(4096).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => return complaints,
        }
        match FfmpegLine::parse(&String::from_utf8_lossy(&line)) {
            FfmpegLine::Time(time) => drop(times.send(time)),
            FfmpegLine::Complaint(text) if complaints.len() < MOST_COMPLAINTS && !complaints.iter().any(|known| known == text) => {
                complaints.push(text.to_owned());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAYING: Playing = Playing { every: 1, real_time: false, max_pixels: 1 << 20 };

    #[test]
    fn what_ffmpeg_says_is_understood() {
        let info = "[Parsed_showinfo_1 @ 0x55d1e9340740] [info]";
        assert_eq!(
            FfmpegLine::parse(&format!("{info} n:   1 pts:    200 pts_time:0.2     pos:    10346 fmt:bgr0\n")),
            FfmpegLine::Time(Some(0.2))
        );
        assert_eq!(FfmpegLine::parse(&format!("{info} n:   1 pts: NOPTS pts_time:NOPTS   pos:  -1\n")), FfmpegLine::Time(None));
        assert_eq!(FfmpegLine::parse(&format!("{info} config in time_base: 1/1000, frame_rate: 5/1\n")), FfmpegLine::Other);
        assert_eq!(FfmpegLine::parse("[mov,mp4 @ 0x5] [error] moov atom not found\n"), FfmpegLine::Complaint("moov atom not found"));
        assert_eq!(
            FfmpegLine::parse("[fatal] Stream map '0:V:0' matches no streams.\n"),
            FfmpegLine::Complaint("Stream map '0:V:0' matches no streams.")
        );
        for other in
            ["[info]     title : [error] [fatal]", "To ignore this, add a trailing '?' to the map.", "[info] n: 1 pts_time:2", "", "["]
        {
            assert_eq!(FfmpegLine::parse(other), FfmpegLine::Other, "{other}");
        }
    }

    #[test]
    fn complaints_are_told_once_and_times_in_order() {
        let info = "[Parsed_showinfo_1 @ 0x5] [info] n: 0 pts: 0 pts_time:";
        let text = format!("{info}0 x\n[error] a\n[error] a\n{info}0.04 x\n{}\n[fatal] b\n", "x".repeat(10_000));
        let (sender, times) = channel();
        assert_eq!(listen(text.as_bytes(), &sender), ["a", "b"]);
        drop(sender);
        assert_eq!(times.iter().collect::<Vec<_>>(), [Some(0.0), Some(0.04)]);
    }

    #[test]
    fn a_missing_ffmpeg_is_said() {
        let source = VideoSource::File("x.mp4".into());
        let error = VideoReader::open_with("ffmpeg-that-is-not-there", &source, PLAYING).expect_err("no such program");
        assert!(matches!(error, VideoError::NoFfmpeg) && error.to_string().contains("install"), "{error}");
    }

    /// `sh` stands in for decoders that give nothing, or not all.
    #[cfg(unix)]
    #[test]
    fn what_the_decoder_complains_about_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let pam = "printf 'P7\\nWIDTH 1\\nHEIGHT 1\\nDEPTH 4\\nENDHDR\\nabcd'";
        let time = "echo '[Parsed_showinfo_1 @ 0x5] [info] n: 0 pts: 0 pts_time:1.5 x' >&2";
        for (name, script, frames, said) in [
            ("nothing", "echo '[error] no such thing' >&2".to_owned(), 0, "ffmpeg cannot read it: no such thing"),
            ("silent", String::new(), 0, "ffmpeg cannot read it: it gave no frame"),
            ("garbage", "echo hello".to_owned(), 0, "ffmpeg cannot read it: not a PAM picture: it does not begin with P7"),
            ("whole", format!("{time}; {pam}"), 1, ""),
            (
                "broken",
                format!("{time}; {pam}; {pam}; echo '[x @ 0x1] [error] cut' >&2"),
                2,
                "2 frames were read, then it broke off or has damaged parts: cut",
            ),
            ("cut", format!("{time}; {pam}; printf 'P7\\nWID'"), 1, "damaged parts: its last frame is cut off"),
            ("failed", format!("{time}; {pam}; printf 'P7\\nWID'; exit 3"), 1, "ffmpeg ended early (exit status: 3)"),
            ("killed", format!("{time}; {pam}; kill -9 $$"), 1, "ffmpeg ended early (signal: 9 (SIGKILL))"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("writable");
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("writable");
            let mut video = VideoReader::open_with(&path.to_string_lossy(), &VideoSource::File("x".into()), PLAYING).expect("starts");
            let read: Vec<VideoFrame> = video.by_ref().map_while(Result::ok).collect();
            assert_eq!(read.len(), frames, "{name}");
            assert!(read.first().is_none_or(|frame| (frame.number, frame.seconds) == (1, Some(1.5))), "{name}");
            let mut again = VideoReader::open_with(&path.to_string_lossy(), &VideoSource::File("x".into()), PLAYING).expect("starts");
            let error = again.find_map(Result::err).map_or_else(String::new, |error| error.to_string());
            assert!(error.ends_with(said) && error.is_empty() == said.is_empty(), "{name}: {error}");
            assert!(video.next().is_none() && again.next().is_none(), "{name}");
        }
    }
}
