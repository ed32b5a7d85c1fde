//! Video files and streams, decoded by an `ffmpeg` process that pipes raw frames.
//!
//! Frames come as PAM pictures: a few lines of text with the size, then the bytes. So the size need not be
//! known before, and may change.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use mtcmcn::Frame;

use super::{Picture, Source, SourceError, Stop};

/// The program, unless another is named in tests.
const FFMPEG: &str = "ffmpeg";

/// Bytes of a frame at most: 16,384 x 16,384 pixels.
const MOST_BYTES: u64 = 1 << 30;

/// How much of what ffmpeg complains about is kept, bytes.
const MOST_WORDS: u64 = 4096;

/// A running decoder.
#[derive(Debug)]
pub struct Video {
    input: String,
    child: Arc<Mutex<Child>>,
    frames: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
    count: u64,
}

impl Video {
    /// Starts ffmpeg on a file or an address; files play at their own speed.
    ///
    /// # Errors
    ///
    /// [`SourceError::NoFfmpeg`] if the program is missing, [`SourceError::Video`] if it does not start.
    /// Whether it can read the input shows with the first frame.
    pub fn open(input: &str) -> Result<Self, SourceError> {
        Self::open_with(FFMPEG, input)
    }

    fn open_with(program: &str, input: &str) -> Result<Self, SourceError> {
        let mut command = Command::new(program);
        command.args(["-nostdin", "-hide_banner", "-loglevel", "error"]);
        if !input.contains("://") {
            command.arg("-re");
        }
        command.args(["-i", input, "-an", "-sn", "-dn", "-f", "image2pipe", "-c:v", "pam", "-pix_fmt", "rgba", "pipe:1"]);
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::NoFfmpeg,
            _ => SourceError::Video { input: input.to_owned(), message: error.to_string() },
        };
        let mut child = spawned.map_err(failed)?;
        let (Some(frames), Some(errors)) = (child.stdout.take(), child.stderr.take()) else { return Err(SourceError::NoFfmpeg) };
        let complaints = std::thread::spawn(move || last_words(errors));
        let child = Arc::new(Mutex::new(child));
        Ok(Self {
            input: input.to_owned(),
            child,
            frames: BufReader::with_capacity(1 << 20, frames),
            complaints: Some(complaints),
            count: 0,
        })
    }

    fn failed(&mut self, message: String) -> SourceError {
        end(&self.child);
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        let said = said.trim();
        SourceError::Video { input: self.input.clone(), message: if said.is_empty() { message } else { said.to_owned() } }
    }
}

impl Source for Video {
    fn next(&mut self) -> Result<Option<Picture>, SourceError> {
        match read_pam(&mut self.frames) {
            Ok(Some(frame)) => {
                self.count += 1;
                Ok(Some(Picture { frame, name: format!("{} #{}", self.input, self.count - 1) }))
            }
            Ok(None) if self.count > 0 => Ok(None),
            Ok(None) => Err(self.failed("it gave no frame".to_owned())),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    fn stop(&self) -> Option<Stop> {
        let child = self.child.clone();
        Some(Box::new(move || end(&child)))
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        end(&self.child);
        if let Some(thread) = self.complaints.take() {
            let _ = thread.join();
        }
    }
}

/// Ends the process, so that a read from it returns.
fn end(child: &Mutex<Child>) {
    let mut child = child.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = child.kill();
    let _ = child.wait();
}

/// The end of what ffmpeg says; everything is read, so that it never waits for a full pipe.
fn last_words(mut errors: impl Read) -> String {
    let (mut kept, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = errors.read(&mut chunk) {
        kept.extend_from_slice(&chunk[..read]);
        let excess = kept.len().saturating_sub(MOST_WORDS as usize);
        kept.drain(..excess);
    }
    String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The next picture, `None` at a clean end.
fn read_pam(source: &mut impl BufRead) -> io::Result<Option<Frame>> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not a PAM picture: {what}"));
    let (mut width, mut height, mut depth) = (0u32, 0u32, 0u32);
    let mut first = true;
    loop {
        let mut line = Vec::new();
        source.take(256).read_until(b'\n', &mut line)?;
        if first && line.is_empty() {
            return Ok(None);
        }
        let line = std::str::from_utf8(&line).map_err(|_| bad("its header is no text"))?;
        if std::mem::take(&mut first) {
            if line != "P7\n" {
                return Err(bad("it does not begin with P7"));
            }
            continue;
        }
        let mut words = line.split_whitespace();
        let (key, value) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let number = || value.parse().map_err(|_| bad("a size is no number"));
        match key {
            "WIDTH" => width = number()?,
            "HEIGHT" => height = number()?,
            "DEPTH" => depth = number()?,
            "ENDHDR" => break,
            "MAXVAL" | "TUPLTYPE" => {}
            _ => return Err(bad("its header has an unknown line")),
        }
    }
    let len = u64::from(width) * u64::from(height) * 4;
    if depth != 4 || len == 0 || len > MOST_BYTES {
        return Err(bad("its size is out of range"));
    }
    let mut pixels = vec![0; len as usize];
    source.read_exact(&mut pixels)?;
    Ok(Frame::from_rgba(width, height, pixels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pam(width: u32, height: u32) -> Vec<u8> {
        let mut bytes = format!("P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n").into_bytes();
        bytes.extend((0..width * height * 4).map(|i| i as u8));
        bytes
    }

    #[test]
    fn pictures_of_any_size_follow_each_other() {
        let bytes = [pam(3, 2), pam(5, 7)].concat();
        let mut source = bytes.as_slice();
        let mut next = || read_pam(&mut source).expect("whole pictures").map(|frame| (frame.width(), frame.height(), frame.rgba()[5]));
        assert_eq!([next(), next(), next()], [Some((3, 2, 5)), Some((5, 7, 5)), None]);
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = pam(3, 2);
        assert!(read_pam(&mut &whole[..whole.len() - 1]).is_err());
        assert!(read_pam(&mut &whole[..20]).is_err());
        for text in
            ["P6\n3 2\n", "P7\nWIDTH x\n", "P7\nWIDTH 3\nHEIGHT 2\nDEPTH 3\nENDHDR\n", "P7\nWIDTH 999999\nHEIGHT 999999\nDEPTH 4\nENDHDR\n"]
        {
            assert!(read_pam(&mut text.as_bytes()).is_err(), "{text}");
        }
        let endless = vec![b'x'; 10_000];
        assert!(read_pam(&mut endless.as_slice()).is_err());
    }

    #[test]
    fn a_missing_ffmpeg_is_said() {
        let error = Video::open_with("ffmpeg-that-is-not-there", "x.mp4").expect_err("no such program");
        assert!(matches!(error, SourceError::NoFfmpeg), "{error}");
        assert!(error.to_string().contains("install"));
    }

    /// `sh` stands in for a decoder that complains and gives nothing.
    #[cfg(unix)]
    #[test]
    fn what_the_decoder_complains_about_is_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let script = folder.path().join("decoder");
        std::fs::write(&script, "#!/bin/sh\necho 'no such stream' >&2\n").expect("writable");
        std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("writable");
        let mut video = Video::open_with(&script.to_string_lossy(), "x.mp4").expect("starts");
        let error = video.next().expect_err("no frame");
        assert_eq!(error.to_string(), "ffmpeg cannot read x.mp4: no such stream");
    }
}
