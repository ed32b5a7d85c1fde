//! Pictures made from what was found: annotated copies and aligned crops.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use image::RgbImage;
use mtcmcn::{Face, Frame, files};
use walkdir::{DirEntry, WalkDir};

use crate::cli::input::Input;
use crate::cli::{align, draw};

/// The directories asked for. Made at once: better to learn before an hour's work than after that a disk is
/// read-only.
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

    /// Says how many pictures there are from before: those of the same name will be replaced, and the others
    /// stay among the new ones.
    fn tell_of_others(&self) {
        for (flag, directory) in [("--annotate", &self.annotate), ("--crops", &self.crops)] {
            let Some(directory) = directory else { continue };
            let is_picture =
                |entry: &DirEntry| entry.path().extension().is_some_and(|extension| extension == "png") && is_ours(entry.path());
            let others = WalkDir::new(directory).into_iter().flatten().filter(is_picture).count();
            if others > 0 {
                tracing::warn!(
                    "{flag} {}: holds {others} picture(s) of an earlier run; those of the same name are replaced, others stay",
                    directory.display()
                );
            }
        }
    }
}

/// How faces are cut out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropShape {
    /// Side of a crop, px, if it was asked for.
    pub side: Option<u32>,
    /// More on every side, as a share.
    pub margin: f32,
    /// Whether they are turned and scaled by their landmarks.
    pub aligned: bool,
}

impl CropShape {
    fn cut(&self, frame: &Frame, face: &Face) -> Option<RgbImage> {
        if self.aligned {
            align::crop(frame, &face.landmarks, self.side.unwrap_or(112), self.margin)
        } else {
            align::square(frame, &face.bounding_box, self.side, self.margin)
        }
    }
}

/// Files that were made of one picture.
#[derive(Debug, Default)]
pub struct Written {
    /// The annotated copy.
    pub annotated: Option<PathBuf>,
    /// By face, where it allows a crop; none if none were asked for.
    pub crops: Vec<Option<PathBuf>>,
}

/// Writes the pictures of a run.
#[derive(Debug)]
pub struct Pictures {
    directories: Directories,
    crops: CropShape,
    /// By input: what its pictures are called, without extension. No two are alike.
    names: Vec<PathBuf>,
    /// Canonical paths that must not be written over.
    inputs: HashSet<PathBuf>,
    /// Files that this run wrote.
    written: RefCell<HashSet<OsString>>,
}

impl Pictures {
    /// Pictures of `inputs` in `directories`.
    pub fn new(directories: Directories, inputs: &[Input], crops: CropShape) -> Self {
        let wanted = directories.annotate.is_some() || directories.crops.is_some();
        let originals = inputs.iter().flatten().filter(|_| wanted).filter_map(|image| image.path.canonicalize().ok()).collect();
        directories.tell_of_others();
        Self { directories, crops, names: distinct_names(inputs), inputs: originals, written: RefCell::default() }
    }

    /// Writes the pictures of input number `index`, or of the picture `number` in it.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or an input would be written over.
    pub fn write(&self, index: usize, number: Option<u64>, frame: &Frame, faces: &[Face]) -> Result<Written> {
        let name = number.map_or_else(|| self.names[index].clone(), |number| with_suffix(&self.names[index], &format!(".{number}")));
        let mut written = Written::default();
        if let Some(directory) = &self.directories.annotate {
            let mut picture = rgb(frame);
            draw::faces(&mut picture, faces);
            written.annotated = Some(self.save(&directory.join(with_suffix(&name, ".png")), &picture)?);
        }
        if let Some(directory) = &self.directories.crops {
            for (number, face) in (1..).zip(faces) {
                written.crops.push(match self.crops.cut(frame, face) {
                    Some(crop) => Some(self.save(&directory.join(with_suffix(&name, &format!("_{number}.png"))), &crop)?),
                    None => {
                        tracing::warn!("{}: face {number} has landmarks that allow no crop", name.display());
                        None
                    }
                });
            }
        }
        Ok(written)
    }

    /// `path`, or with `-2`, `-3`, … if this run wrote it already (a crop of `a` and the picture of `a_1` may
    /// share a directory), or if there is a file that this program did not make.
    fn claim(&self, path: &Path) -> PathBuf {
        let stem = path.with_extension("");
        let names = std::iter::once(path.to_owned()).chain((2..).map(|n| with_suffix(&stem, &format!("-{n}.png"))));
        let mut written = self.written.borrow_mut();
        let free =
            |name: &PathBuf| !written.contains(&folded(name)) && (is_ours(name) || fs::symlink_metadata(name).is_err() || name.is_dir());
        let claimed = names.into_iter().find(free).unwrap_or_else(|| path.to_owned());
        written.insert(folded(&claimed));
        claimed
    }

    fn save(&self, path: &Path, picture: &RgbImage) -> Result<PathBuf> {
        let is_input = path.canonicalize().is_ok_and(|path| self.inputs.contains(&path));
        ensure!(!is_input, "{} is one of the inputs and is not written over: choose another directory", path.display());
        let path = self.claim(path);
        let bytes = encoded(picture).with_context(|| format!("writing {}", path.display()))?;
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).with_context(|| format!("writing {}", path.display()))?;
        files::write_whole(&path, &bytes)?;
        Ok(path)
    }
}

/// Says in every PNG file who made it.
const SOFTWARE: (&str, &str) = ("Software", concat!("mtcmcn ", env!("CARGO_PKG_VERSION")));

fn encoded(picture: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Adaptive);
    encoder.add_text_chunk(SOFTWARE.0.to_owned(), SOFTWARE.1.to_owned())?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// Whether this program made the file at `path`: its PNG files say so at their beginning.
fn is_ours(path: &Path) -> bool {
    let mut head = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(128).read_to_end(&mut head));
    read.is_ok() && head.windows(SOFTWARE_MARK.len()).any(|window| window == SOFTWARE_MARK)
}

/// Keyword, zero and the beginning of the text, as they are stored.
const SOFTWARE_MARK: &[u8] = b"tEXtSoftware\0mtcmcn ";

/// Names that differ only in case are alike, as on some disks. Of a name that is no text only the bytes
/// count.
fn folded(name: &Path) -> OsString {
    name.to_str().map_or_else(|| name.as_os_str().to_owned(), |name| name.to_lowercase().into())
}

fn rgb(frame: &Frame) -> RgbImage {
    RgbImage::from_fn(frame.width(), frame.height(), |x, y| {
        let at = (y as usize * frame.width() as usize + x as usize) * 4;
        image::Rgb([frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2]])
    })
}

/// Each input's own name, or with `-2`, `-3`, … if an earlier input has it; names that differ only in case
/// are alike, as on some disks.
fn distinct_names(inputs: &[Input]) -> Vec<PathBuf> {
    let mut uses: HashMap<OsString, u32> = HashMap::new(); // how often a name was asked for, by itself or as the start of another
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
    inputs.iter().map(|input| input.as_ref().map_or_else(|_| PathBuf::new(), |image| distinct(&shortened(&image.name)))).collect()
}

/// `name` with room for what is added to it: names of at most 255 bytes are valid everywhere.
fn shortened(name: &Path) -> PathBuf {
    const MOST: usize = 220;
    let last = name.file_name().unwrap_or_default();
    if last.len() <= MOST {
        return name.to_owned();
    }
    // A name that is no text loses what is none.
    let last = last.to_string_lossy();
    let end = (0..=MOST.min(last.len())).rev().find(|&end| last.is_char_boundary(end)).unwrap_or(0);
    name.with_file_name(&last[..end])
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
        let image = |name: &str| Ok(ImageFile { bytes: None, path: name.into(), name: name.into() });
        let lost = Err(Unreadable { path: "x".into(), error: "gone".into() });
        let inputs = [image("x"), image("sub/x"), image("X"), lost, image("x"), image("x-2"), image("v1.2")];
        let names = distinct_names(&inputs);
        assert_eq!(names, ["x", "sub/x", "X-2", "", "x-3", "x-2-2", "v1.2"].map(PathBuf::from));
        assert_eq!(with_suffix(&names[6], "_1.png"), Path::new("v1.2_1.png"));
    }

    #[test]
    fn pictures_say_who_made_them() {
        let bytes = encoded(&RgbImage::new(3, 2)).expect("encodes");
        assert!(bytes[..128.min(bytes.len())].windows(SOFTWARE_MARK.len()).any(|window| window == SOFTWARE_MARK));
        assert_eq!(image::load_from_memory(&bytes).map(|picture| picture.width()).ok(), Some(3));
    }

    #[test]
    fn long_names_keep_room_for_what_is_added() {
        let long = format!("folder/{}", "ä".repeat(125));
        let short = shortened(Path::new(&long));
        assert_eq!(short, Path::new("folder").join("ä".repeat(110)));
        assert_eq!(shortened(Path::new("folder/a")), Path::new("folder/a"));
    }
}
