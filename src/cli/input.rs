//! Which images to look at: what was named on the command line, in lists and in directories, as one sequence
//! in that order.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mtcmcn::picture::decode::{Picture, PictureError, Reading};
use mtcmcn::video::VideoSource;
use walkdir::{DirEntry, WalkDir};

use super::{decode, explain};

/// One thing to look at, or why it cannot be.
pub type Input = Result<ImageFile, Unreadable>;

/// A file to decode, or another source of video. Whether it is an image is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// The file itself, if it came by standard input.
    pub bytes: Option<Vec<u8>>,
    /// Where it is, as the user would write it.
    pub path: PathBuf,
    /// What to call pictures made from it, without extension: the path below the directory that was named, or
    /// the file's own name.
    pub name: PathBuf,
}

impl ImageFile {
    /// The video that it is by its name, if it is one.
    pub fn video(&self) -> Option<VideoSource> {
        if self.bytes.is_some() { None } else { VideoSource::of(&self.path) }
    }

    /// Decodes it as an image.
    ///
    /// # Errors
    ///
    /// If it cannot be read or decoded.
    pub fn picture(&self, reading: &Reading) -> Result<Picture, PictureError> {
        match &self.bytes {
            Some(bytes) => decode::picture(bytes, reading),
            None => decode::read_picture(&self.path, reading),
        }
    }
}

/// Something named that gives no image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// What was named.
    pub path: PathBuf,
    /// Why, with all causes.
    pub error: String,
}

impl Unreadable {
    fn new(path: &Path, error: impl Into<anyhow::Error>) -> Self {
        Self { path: path.to_owned(), error: explain(&error.into()) }
    }
}

/// Everything that `paths` and then the lines of `list` name, in order; duplicates stay. The path `-` is an
/// image on stdin, or a list.
///
/// Directories are searched recursively in order of name; there, hidden entries and `skip` (directories,
/// canonical) are passed over.
pub fn expand(paths: &[PathBuf], list: Option<&Path>, skip: &[PathBuf]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for path in paths.iter().map(PathBuf::as_path) {
        if path == Path::new("-") {
            expand_list(path, skip, &mut inputs);
        } else {
            expand_path(path, skip, &mut inputs);
        }
    }
    if let Some(list) = list {
        expand_list(list, skip, &mut inputs);
    }
    inputs
}

fn expand_list(list: &Path, skip: &[PathBuf], inputs: &mut Vec<Input>) {
    let before = inputs.len();
    let stdin = list == Path::new("-");
    let bytes = if stdin { read_list(io::stdin().lock()) } else { File::open(list).and_then(read_list) };
    let is_picture = |bytes: &Vec<u8>| stdin && decode::is_picture(&bytes[..bytes.len().min(64)]);
    let bytes = match bytes {
        Ok(bytes) if is_picture(&bytes) => {
            inputs.push(Ok(ImageFile { bytes: Some(bytes), path: list.to_owned(), name: "stdin".into() }));
            return;
        }
        other => other,
    };
    match bytes.map_err(anyhow::Error::from).and_then(|bytes| parse_list(&bytes)) {
        Ok(paths) => paths.iter().for_each(|path| expand_path(path, skip, inputs)),
        Err(error) => inputs.push(Err(Unreadable::new(list, error))),
    }
    if inputs.len() == before {
        inputs.push(Err(Unreadable::new(list, anyhow::anyhow!("the list names no file"))));
    }
}

/// The longest list that is read, bytes: a million long paths.
const MOST_LIST_BYTES: u64 = 256 << 20;

fn read_list(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(MOST_LIST_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST_LIST_BYTES {
        return Err(io::Error::other("longer than 256 MiB, which no list of paths and no image here is"));
    }
    Ok(bytes)
}

/// One path a line; LF or CRLF, a byte order mark at the start and blank lines are no matter. With a zero
/// byte anywhere, which no path has, each path ends with one.
fn parse_list(bytes: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
    if bytes.contains(&0) {
        return bytes.split(|&byte| byte == 0).filter(|path| !path.is_empty()).map(path_from_bytes).collect();
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.filter(|line| !line.trim_ascii().is_empty()).map(path_from_bytes).collect()
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as on systems whose paths are not bytes")]
fn path_from_bytes(line: &[u8]) -> anyhow::Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    Ok(std::ffi::OsStr::from_bytes(line).into())
}

#[cfg(not(unix))]
fn path_from_bytes(line: &[u8]) -> anyhow::Result<PathBuf> {
    use anyhow::Context as _;
    Ok(std::str::from_utf8(line).context("the list is not UTF-8")?.into())
}

fn expand_path(path: &Path, skip: &[PathBuf], inputs: &mut Vec<Input>) {
    match fs::metadata(path) {
        // Streams and cameras are no files.
        Err(_) if matches!(VideoSource::of(path), Some(VideoSource::Address(_) | VideoSource::Camera(_))) => {
            let name = path.to_string_lossy().replace(|c: char| !c.is_alphanumeric(), "-");
            inputs.push(Ok(ImageFile { bytes: None, path: path.to_owned(), name: name.into() }));
        }
        Err(error) => inputs.push(Err(Unreadable::new(path, error))),
        Ok(metadata) if metadata.is_dir() => expand_directory(path, skip, inputs),
        Ok(_) => {
            let name = path.file_stem().unwrap_or("image".as_ref()).into();
            inputs.push(Ok(ImageFile { bytes: None, path: path.to_owned(), name }));
        }
    }
}

fn expand_directory(root: &Path, skip: &[PathBuf], inputs: &mut Vec<Input>) {
    let before = inputs.len();
    let wanted = |entry: &DirEntry| entry.depth() == 0 || !(is_hidden(entry) || is_one_of(entry, skip));
    for entry in WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter().filter_entry(wanted) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && looks_like_image(entry.path()) => {
                let name = entry.path().strip_prefix(root).unwrap_or(entry.path()).with_extension("");
                inputs.push(Ok(ImageFile { bytes: None, path: entry.into_path(), name }));
            }
            Ok(_) => {}
            // The directory it leads back to is being searched already.
            Err(error) if error.loop_ancestor().is_some() => tracing::info!("{error}"),
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let cause = error.into_io_error().unwrap_or_else(|| io::ErrorKind::Other.into());
                inputs.push(Err(Unreadable::new(&path, cause)));
            }
        }
    }
    if inputs.len() == before {
        inputs.push(Err(Unreadable::new(root, anyhow::anyhow!("no images in this directory"))));
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn is_one_of(entry: &DirEntry, directories: &[PathBuf]) -> bool {
    !directories.is_empty() && entry.file_type().is_dir() && entry.path().canonicalize().is_ok_and(|path| directories.contains(&path))
}

/// By extension, so that a damaged `.jpg` or one of a kind that is not read is reported and not passed over,
/// or else by content.
fn looks_like_image(path: &Path) -> bool {
    decode::is_picture_name(path) || head(path).is_ok_and(|head| decode::is_picture(&head))
}

fn head(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?.take(64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_may_have_blank_lines_crlf_and_a_byte_order_mark() {
        let paths = parse_list(b"\xef\xbb\xbfa b.png\r\n\r\n  \n c.png\nd.png").expect("ASCII");
        assert_eq!(paths, ["a b.png", " c.png", "d.png"].map(PathBuf::from));
        assert!(parse_list(b"").expect("empty").is_empty());
    }

    #[test]
    fn paths_that_end_with_zero_bytes_may_hold_anything_else() {
        let paths = parse_list(b" a\nb.png\0c.png\r\0\0d").expect("ASCII");
        assert_eq!(paths, [" a\nb.png", "c.png\r", "d"].map(PathBuf::from));
    }
}
