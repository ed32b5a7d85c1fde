//! Files read up to a limit and written whole or not at all.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system refused to read.
    #[error("cannot read {path:?}; check that it is there and that you may read it")]
    Read {
        /// File or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The file system refused to write; what was there before is untouched.
    #[error("cannot write {path:?}; check the directory, your rights and the free space")]
    Write {
        /// The file that was to be.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Far larger than any file of its kind.
    #[error("{path:?} is larger than {limit} bytes, which no file of this kind is; check that it is the right file")]
    TooLarge {
        /// File, or member of an archive.
        path: PathBuf,
        /// Most bytes that are read.
        limit: u64,
    },
}

/// All of the file at `path`, at most `limit` bytes.
///
/// # Errors
///
/// [`FileError::Read`], or [`FileError::TooLarge`] if it holds more.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes));
    read.map_err(|source| FileError::Read { path: path.into(), source })?;
    if bytes.len() as u64 > limit { Err(FileError::TooLarge { path: path.into(), limit }) } else { Ok(bytes) }
}

/// The file at `path` as memory; empty for an empty file. Its pages are read as they are touched.
///
/// # Errors
///
/// What the system says.
#[cfg(feature = "toolkit")]
pub fn map(path: &Path) -> io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    #[allow(unsafe_code, reason = "a file of many gigabytes cannot be read into memory")]
    // SAFETY: the bytes must not change while they are borrowed. Files that are mapped here are written by
    // `write_with` alone, which never writes into a file that is there: it renames a new one into its place,
    // and the map keeps the old. Someone else who shortens the file meanwhile ends the process by SIGBUS; no
    // other program has a reason to write to it.
    unsafe {
        memmap2::Mmap::map(&file)
    }
}

/// Files that are being written under a name of their own.
static UNFINISHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn unfinished() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    // A set of paths is whole whatever panicked.
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes all files that are being written, and lets no other be begun: for a process that is about to end
/// at once. Whoever is writing one waits from here on, so the caller must end the process.
pub fn abandon() {
    let unfinished = unfinished();
    for path in unfinished.iter() {
        let _ = fs::remove_file(path);
    }
    std::mem::forget(unfinished);
}

/// What the names of files begin with that are to be put at `path`. Names of at most 255 bytes are valid
/// everywhere, so a long one is cut.
fn prefix(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let end = (0..=name.len().min(200)).rev().find(|&end| name.is_char_boundary(end)).unwrap_or(0);
    Some(format!(".{}.", &name[..end]))
}

/// Removes what writers of `path` that were killed have left beside it. Whoever calls it must be the only one
/// to write there.
///
/// # Errors
///
/// What the system says.
pub fn remove_leftovers(path: &Path) -> io::Result<()> {
    let Some(prefix) = prefix(path) else { return Ok(()) };
    for entry in fs::read_dir(directory(path))? {
        let entry = entry?;
        let other = entry.file_name().to_string_lossy().into_owned();
        let numbers = other.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".tmp"));
        if numbers.is_some_and(|numbers| numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Puts `bytes` at `path` in one step; see [`write_with`].
///
/// # Errors
///
/// [`FileError::Write`]; what was at `path` before is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_with(path, |file| file.write_all(bytes)).map_err(|source| FileError::Write { path: path.into(), source })
}

/// Puts what `write` writes at `path` in one step: it is written and synced beside it under a name of its
/// own, then renamed. Who reads `path` meanwhile, or after a crash at any instant, sees the old file or the
/// new one.
///
/// # Errors
///
/// What the system or `write` says; what was at `path` before is then untouched.
pub fn write_with(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let prefix = prefix(path).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a file name"))?;
    let temporary = path.with_file_name(format!("{prefix}{}.{}.tmp", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)));
    let mut file = {
        // Made and noted in one: whoever abandons files knows of it or keeps it from being made.
        let mut unfinished = unfinished();
        let file = File::create_new(&temporary)?;
        unfinished.insert(temporary.clone());
        file
    };
    let written = write(&mut file).and_then(|()| file.sync_all());
    drop(file);
    let mut unfinished = unfinished();
    unfinished.remove(&temporary);
    let placed = written.and_then(|()| fs::rename(&temporary, path));
    drop(unfinished);
    placed.and_then(|()| sync_directory(path)).inspect_err(|_| {
        let _ = fs::remove_file(&temporary);
    })
}

/// Makes the renaming itself last, where a directory can be synced.
fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory(path))?.sync_all() } else { Ok(()) }
}

/// The directory that `path` lies in.
fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Returns `bytes` as hexadecimal digits, two each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
