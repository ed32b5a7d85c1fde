//! Pictures made from what was found: annotated copies and aligned crops.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder as _, RgbImage};
use mtcmcn::{Face, Frame, files};

use crate::cli::input::Input;
use crate::cli::{align, draw};

/// The directories asked for. Made at once: better to learn before an hour's work than after that a disk is read-only.
#[derive(Debug, Default)]
pub struct Directories {
    annotate: Option<PathBuf>,
    crops: Option<PathBuf>,
}

impl Directories {
    /// Makes the directories.
    ///
    /// # Errors
    ///
    /// If one cannot be made.
    pub fn create(annotate: Option<&Path>, crops: Option<&Path>) -> Result<Self> {
        let create = |flag: &str, directory: Option<&Path>| -> Result<Option<PathBuf>> {
            let Some(directory) = directory else { return Ok(None) };
            fs::create_dir_all(directory).with_context(|| format!("{flag}: making the directory {}", directory.display()))?;
            Ok(Some(directory.to_owned()))
        };
        Ok(Self { annotate: create("--annotate", annotate)?, crops: create("--crops", crops)? })
    }

    /// The directories as canonical paths, so that a search for inputs can pass them over.
    pub fn canonical(&self) -> Vec<PathBuf> {
        [&self.annotate, &self.crops].into_iter().flatten().filter_map(|directory| directory.canonicalize().ok()).collect()
    }
}

/// Writes the pictures of a run.
#[derive(Debug)]
pub struct Pictures {
    directories: Directories,
    /// By input: what its pictures are called, without extension. No two are alike.
    names: Vec<PathBuf>,
    /// Canonical paths that must not be written over.
    inputs: HashSet<PathBuf>,
    /// Files that this run wrote.
    written: RefCell<HashSet<String>>,
}

impl Pictures {
    /// Pictures of `inputs` in `directories`.
    pub fn new(directories: Directories, inputs: &[Input]) -> Self {
        let wanted = directories.annotate.is_some() || directories.crops.is_some();
        let originals = inputs.iter().flatten().filter(|_| wanted).filter_map(|image| image.path.canonicalize().ok()).collect();
        Self { directories, names: distinct_names(inputs), inputs: originals, written: RefCell::default() }
    }

    /// Writes the pictures of input number `index`.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or an input would be written over.
    pub fn write(&self, index: usize, frame: &Frame, faces: &[Face]) -> Result<()> {
        let name = &self.names[index];
        if let Some(directory) = &self.directories.annotate {
            let mut picture = rgb(frame);
            draw::faces(&mut picture, faces);
            self.save(&directory.join(with_suffix(name, ".png")), &picture)?;
        }
        if let Some(directory) = &self.directories.crops {
            for (number, face) in (1..).zip(faces) {
                match align::crop_112(frame, &face.landmarks) {
                    Some(crop) => self.save(&directory.join(with_suffix(name, &format!("_{number}.png"))), &crop)?,
                    None => tracing::warn!("{}: face {number} has landmarks that allow no crop", name.display()),
                }
            }
        }
        Ok(())
    }

    /// `path`, or with `-2`, `-3`, … if this run wrote it already: a crop of `a` and the picture of `a_1` may share a directory.
    fn claim(&self, path: &Path) -> PathBuf {
        let stem = path.with_extension("");
        let names = std::iter::once(path.to_owned()).chain((2..).map(|n| with_suffix(&stem, &format!("-{n}.png"))));
        let mut written = self.written.borrow_mut();
        names.into_iter().find(|name| written.insert(folded(name))).unwrap_or_else(|| path.to_owned())
    }

    fn save(&self, path: &Path, picture: &RgbImage) -> Result<()> {
        let is_input = path.canonicalize().is_ok_and(|path| self.inputs.contains(&path));
        ensure!(!is_input, "{} is one of the inputs and is not written over: choose another directory", path.display());
        let path = &self.claim(path);
        let mut bytes = Vec::new();
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
            .write_image(picture, picture.width(), picture.height(), ExtendedColorType::Rgb8)
            .and_then(|()| Ok(fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?))
            .with_context(|| format!("writing {}", path.display()))?;
        Ok(files::write_whole(path, &bytes)?)
    }
}

/// Names that differ only in case are alike, as on some disks.
fn folded(name: &Path) -> String {
    name.to_string_lossy().to_lowercase()
}

fn rgb(frame: &Frame) -> RgbImage {
    RgbImage::from_fn(frame.width(), frame.height(), |x, y| {
        let at = (y as usize * frame.width() as usize + x as usize) * 4;
        image::Rgb([frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2]])
    })
}

/// Each input's own name, or with `-2`, `-3`, … if an earlier input has it; names that differ only in case are alike, as on some disks.
fn distinct_names(inputs: &[Input]) -> Vec<PathBuf> {
    let mut uses: HashMap<String, u32> = HashMap::new(); // how often a name was asked for, by itself or as the start of another
    let mut distinct = |name: &Path| {
        let mut candidate = name.to_owned();
        while uses.contains_key(&folded(&candidate)) {
            let count = uses.entry(folded(name)).or_insert(1);
            *count += 1;
            candidate = with_suffix(name, &format!("-{count}"));
        }
        uses.insert(folded(&candidate), 1);
        candidate
    };
    inputs.iter().map(|input| input.as_ref().map_or_else(|_| PathBuf::new(), |image| distinct(&image.name))).collect()
}

/// `a.b` and `_1.png` make `a.b_1.png`.
fn with_suffix(name: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(name);
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::{ImageFile, Unreadable};

    #[test]
    fn names_are_distinct_and_keep_their_folders() {
        let image = |name: &str| Ok(ImageFile { path: name.into(), name: name.into() });
        let lost = Err(Unreadable { path: "x".into(), error: "gone".into() });
        let inputs = [image("x"), image("sub/x"), image("X"), lost, image("x"), image("x-2"), image("v1.2")];
        let names = distinct_names(&inputs);
        assert_eq!(names, ["x", "sub/x", "X-2", "", "x-3", "x-2-2", "v1.2"].map(PathBuf::from));
        assert_eq!(with_suffix(&names[6], "_1.png"), Path::new("v1.2_1.png"));
    }
}
