//! An image, or the images of a folder one after another.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mtcmcn::picture::decode;

use super::{Picture, Source, SourceError};

/// More pixels than this are refused before decoding.
const MAX_PIXELS: u64 = 200_000_000;

/// How long one image of several is shown.
const PACE: Duration = Duration::from_secs(1);

/// Images in order of name; after the last comes the first.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    next: usize,
    /// Failures since the last image that was good.
    failed: usize,
}

impl Files {
    /// The image at `path`, or those directly in the folder `path`.
    ///
    /// # Errors
    ///
    /// [`SourceError::Folder`] if it cannot be read, [`SourceError::NoImages`] for a folder without one.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let error = |error: std::io::Error| SourceError::Folder { path: path.display().to_string(), message: error.to_string() };
        let mut paths = Vec::new();
        if fs::metadata(path).map_err(error)?.is_dir() {
            for entry in fs::read_dir(path).map_err(error)? {
                let path = entry.map_err(error)?.path();
                if is_image(&path) && path.is_file() {
                    paths.push(path);
                }
            }
            paths.sort();
            if paths.is_empty() {
                return Err(SourceError::NoImages { path: path.display().to_string() });
            }
        } else {
            paths.push(path.to_owned());
        }
        Ok(Self { paths, next: 0, failed: 0 })
    }
}

/// Pictures by name, also of kinds that are not read here: those are named in their turn, and not passed
/// over.
fn is_image(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    decode::is_picture_name(path) && !hidden
}

impl Source for Files {
    fn next(&mut self) -> Result<Option<Picture>, SourceError> {
        if self.failed >= self.paths.len() {
            return Ok(None);
        }
        let path = &self.paths[self.next % self.paths.len()];
        self.next = (self.next + 1) % self.paths.len();
        let name = path.display().to_string();
        match decode::read(path, MAX_PIXELS) {
            Ok(frame) => {
                self.failed = 0;
                Ok(Some(Picture { frame, name }))
            }
            Err(error) => {
                self.failed += 1;
                Err(SourceError::File { path: name, message: error.to_string() })
            }
        }
    }

    fn pace(&self) -> Duration {
        PACE
    }

    fn moving(&self) -> bool {
        false
    }

    fn still(&self) -> bool {
        self.paths.len() == 1
    }

    fn skip(&mut self, by: i64) {
        let count = self.paths.len() as i64;
        self.next = (self.next as i64 + by).rem_euclid(count) as usize;
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_walked_in_order_and_bad_files_are_named() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let image = image::RgbImage::from_pixel(33, 17, image::Rgb([1, 2, 3]));
        for name in ["b.png", "a.PNG", ".hidden.png"] {
            image.save_with_format(folder.path().join(name), image::ImageFormat::Png).expect("writable");
        }
        fs::write(folder.path().join("c.jpg"), "no image").expect("writable");
        fs::write(folder.path().join("readme.txt"), "no image").expect("writable");
        let mut files = Files::open(folder.path()).expect("readable");
        let mut seen = Vec::new();
        for _ in 0..6 {
            seen.push(match files.next() {
                Ok(Some(picture)) => (picture.name, picture.frame.width()),
                Ok(None) => ("end".to_owned(), 0),
                Err(error) => {
                    assert!(error.passing());
                    (error.to_string(), 1)
                }
            });
        }
        let ends = |i: usize, text: &str| assert!(seen[i].0.contains(text), "{seen:?}");
        ends(0, "a.PNG");
        ends(1, "b.png");
        ends(2, "c.jpg: not an image");
        ends(3, "a.PNG");
        files.skip(-2);
        assert!(files.next().expect("an image").expect("an image").name.contains("b.png"));
    }

    #[test]
    fn only_bad_files_end_and_an_empty_folder_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(matches!(Files::open(folder.path()), Err(SourceError::NoImages { .. })));
        assert!(Files::open(&folder.path().join("gone.png")).is_err());
        fs::write(folder.path().join("c.jpg"), "").expect("writable");
        let mut files = Files::open(folder.path()).expect("readable");
        assert!(files.next().is_err());
        assert!(matches!(files.next(), Ok(None)));
    }
}
