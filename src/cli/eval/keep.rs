//! What was found, kept in a file so that a later run goes on where this one ended.
//!
//! A line is that of `mtcmcn detect --json` with the setting, and with the folder, size and time of the
//! image: only what is the same in all of them is used again. One process at a time has the file; it is
//! changed where it is, since a lock is of the file and not of its name.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context as _, Result, bail, ensure};
use mtcmcn::data::{Faults, ImageDetections, json};
use serde::{Deserialize, Serialize};

use super::setting::Setting;

/// Which file an image was read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The folder of images, from the root.
    folder: String,
    /// Size of the file; `None` if it is not there.
    bytes: Option<u64>,
    /// When it was changed, nanoseconds since 1970.
    modified: Option<u64>,
}

impl Origin {
    /// That of the file `place` below `folder`.
    ///
    /// # Errors
    ///
    /// If the folder cannot be found.
    pub fn of(folder: &Path, place: &Path) -> Result<Self> {
        let whole = folder.canonicalize().with_context(|| format!("--images {}", folder.display()))?;
        let metadata = fs::metadata(place).ok();
        let modified = metadata.as_ref().and_then(|metadata| metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok());
        Ok(Self {
            folder: whole.to_string_lossy().into_owned(),
            bytes: metadata.as_ref().map(fs::Metadata::len),
            modified: modified.and_then(|age| u64::try_from(age.as_nanos()).ok()),
        })
    }

    /// Whether what was found in the file `before` is what would be found in this one. A file that is gone
    /// cannot be searched again.
    fn is_still(&self, before: &Self) -> bool {
        self.folder == before.folder && (self.bytes.is_none() || self == before)
    }
}

#[derive(Deserialize)]
struct KeptLine {
    path: String,
    setting: Option<Setting>,
    file: Option<Origin>,
}

/// The setting that all lines of a file agree on, if it was kept by a run of ours.
pub fn kept_setting(file: &Path) -> Option<Setting> {
    let text = fs::read_to_string(file).ok()?;
    let setting = |line: &str| serde_json::from_str::<KeptLine>(line).ok()?.setting;
    let mut settings = text.lines().filter(|line| !line.trim().is_empty()).map(setting);
    let first = settings.next()??;
    settings.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

/// A file with a line for every finished image, each written at once.
pub struct Keeper {
    file: Option<(PathBuf, File)>,
    /// By path of the image.
    pub known: HashMap<String, ImageDetections>,
    setting: String,
}

impl Keeper {
    /// The file at `path`, held until the end, with what it has of the images `wanted`; without a path,
    /// nothing is known or kept.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, was not written by us, or is of another setting.
    pub fn open(path: Option<&Path>, redo: bool, setting: &Setting, wanted: &HashMap<&str, &Origin>) -> Result<Self> {
        let mut keeper = Self { file: None, known: HashMap::new(), setting: serde_json::to_string(setting)? };
        let Some(path) = path else { return Ok(keeper) };
        let failed = || format!("--keep {}", path.display());
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path).with_context(failed)?;
        hold(&file, path)?;
        let mut bytes = Vec::new();
        if !redo {
            file.read_to_end(&mut bytes).with_context(failed)?;
        }
        // A line without an end is what a killed run left of its last image.
        bytes.truncate(bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1));
        let (text, others) = usable(&bytes, path, setting, wanted)?;
        if others > 0 {
            tracing::warn!(
                "--keep {}: {others} result(s) are of images in another folder, or changed since: not used again",
                path.display()
            );
        }
        let mut faults = Faults::lenient();
        let known = json::parse_detections(text.as_bytes(), &mut faults.of(path))?;
        // An empty file is noted as odd, but here it is how every run begins.
        if let Some(fault) = faults.list().iter().find(|fault| fault.skipped) {
            bail!("--keep {fault}; give another file, or --redo to begin this one anew");
        }
        if others > 0 || redo {
            file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0))).with_context(failed)?;
            file.write_all(text.as_bytes()).with_context(failed)?;
        } else {
            file.set_len(bytes.len() as u64).and_then(|()| file.seek(SeekFrom::End(0))).with_context(failed)?;
        }
        keeper.known = known.into_iter().map(|image| (image.path.clone(), image)).collect();
        keeper.file = Some((path.to_owned(), file));
        Ok(keeper)
    }

    /// Keeps what was found in an image, whose file is `origin`.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn keep(&mut self, image: &ImageDetections, origin: &Origin) -> Result<()> {
        let Some((path, file)) = &mut self.file else { return Ok(()) };
        let line = json::detection_line(image);
        let open = line.trim_end().strip_suffix('}').context("a JSON object ends with a brace")?;
        let line = format!("{open},\"file\":{},\"setting\":{}}}\n", serde_json::to_string(origin)?, self.setting);
        file.write_all(line.as_bytes()).with_context(|| format!("--keep {}", path.display()))
    }
}

/// Waits until no other process has the file.
fn hold(file: &File, path: &Path) -> Result<()> {
    let failed = || format!("--keep {}: holding the file against other evaluations", path.display());
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            tracing::warn!("--keep {}: waiting for another evaluation that has this file", path.display());
            file.lock().with_context(failed)
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

/// The lines of `bytes` that are of images as they are now, and how many others there are.
fn usable(bytes: &[u8], path: &Path, setting: &Setting, wanted: &HashMap<&str, &Origin>) -> Result<(String, usize)> {
    let (mut text, mut others) = (String::new(), 0);
    for (number, line) in (1..).zip(String::from_utf8_lossy(bytes).lines()) {
        let advice = "give another file, or --redo to begin this one anew";
        let Some(KeptLine { path: image, setting: Some(kept), file }) = serde_json::from_str(line).ok() else {
            bail!("--keep {}: line {number} was not written by mtcmcn eval; {advice}", path.display())
        };
        let differences = setting.differences(&kept);
        ensure!(differences.is_empty(), "--keep {}: line {number} has {differences}; {advice}", path.display());
        // Images that this evaluation does not ask for stay for those that do.
        let still = |file: &Origin| wanted.get(&*image).is_none_or(|now| now.is_still(file));
        if file.as_ref().is_some_and(still) {
            text += line;
            text.push('\n');
        } else {
            others += 1;
        }
    }
    Ok((text, others))
}
