//! The images used for training: read from their sources, and split into training, validation and test set by
//! seed.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use walkdir::WalkDir;

use super::CropsError;
use crate::data::any::{self, AnyForm};
use crate::data::{AnnotatedImage, Annotation, DataError, Faults, celeba, facepoint, image_path, json, wider, wider_mat};
use crate::files::{self, FileError};
use crate::picture::decode::is_picture_name;
use crate::train::config::{DataConfig, Source, SourceFormat, Uses, folder_of};

/// Subset of the images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataPart {
    /// Images that the nets are trained on.
    Training,
    /// Images for choosing the best checkpoint.
    Validation,
    /// Images for reporting final figures.
    Test,
}

impl DataPart {
    /// All parts, by index.
    pub const ALL: [Self; 3] = [Self::Training, Self::Validation, Self::Test];

    /// Returns the name shown to users.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// An image to cut crops from.
#[derive(Debug, Clone, PartialEq)]
pub struct Photo {
    /// Path of the image.
    pub path: PathBuf,
    /// Index of its source.
    pub source: usize,
    /// File of annotations that names the image, and the line in it.
    pub named_by: (PathBuf, usize),
    /// Annotated faces.
    pub faces: Vec<Annotation>,
    /// Permitted uses of the image.
    pub uses: Uses,
    /// Number of negatives to cut; `None` for the number in the settings.
    pub negatives: Option<u32>,
    /// Smallest face to look for and to learn from, px; `None` for the numbers in the settings.
    pub min_face_px: Option<f64>,
    /// Subset that the image belongs to.
    pub part: DataPart,
}

/// Returns all images of all sources in order, each once, with the part that `seed` assigns to it; without
/// those that a source leaves out by list, and at most as many as it says.
///
/// The split is by image: each source's images are put in an order determined by seed and path, and that
/// order is divided. A part with a share above 0 receives at least one image of every source that has at
/// least as many images as there are such parts.
///
/// # Errors
///
/// [`CropsError::Data`] if annotations cannot be read, or for the first fault in strict mode;
/// [`CropsError::NoSource`] or [`CropsError::NoImage`] if there are no images.
pub fn photos(config: &DataConfig, seed: u32, faults: &mut Faults) -> Result<Vec<Photo>, CropsError> {
    if config.sources.is_empty() {
        return Err(CropsError::NoSource);
    }
    let mut photos: Vec<Photo> = Vec::new();
    let mut seen = HashMap::new();
    for (number, source) in config.sources.iter().enumerate() {
        let first = photos.len();
        let folder = source.images_folder();
        let left_out = left_out(source)?;
        for image in read(source, faults)?.into_iter().filter(|image| !left_out.contains(&image.path)) {
            let path = folder.join(&image.path);
            let mut file = faults.of(&source.annotations);
            if let Some(other) = seen.insert(path.clone(), number).filter(|other| *other != number) {
                let other = &config.sources[other].annotations;
                file.skipped(image.line, format!("the image {path:?} is in {other:?} already: skipped"))?;
                continue;
            }
            let converted = |face: Annotation| Annotation { bounding_box: source.converted(face.bounding_box), ..face };
            let faces = image.faces.into_iter().filter(|face| face.bounding_box.area() > 0.0).map(converted).collect();
            let named_by = (source.annotations.clone(), image.line);
            let (uses, negatives, min_face_px) = (source.uses(), source.negatives_per_image, source.min_face_px);
            photos.push(Photo { path, source: number, named_by, faces, uses, negatives, min_face_px, part: DataPart::Training });
        }
        if photos.len() == first {
            let reasons = faults.list().iter().filter(|fault| fault.path.starts_with(&source.annotations)).map(ToString::to_string);
            return Err(CropsError::NoImage { annotations: source.annotations.clone(), reasons: reasons.collect() });
        }
        if let Some(most) = source.most_images {
            let own = photos.split_off(first);
            photos.extend(drawn(own, &folder, most, seed));
        }
        split(&mut photos[first..], &folder, config.split, seed);
    }
    Ok(photos)
}

fn read(source: &Source, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, CropsError> {
    let path = &source.annotations;
    let images = match source.format {
        SourceFormat::Wider if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mat")) => {
            wider_mat::parse_images(&bytes(path)?, &mut faults.of(path))
        }
        SourceFormat::Wider => wider::read(path, faults),
        SourceFormat::Facepoint => facepoint::read(path, facepoint::FacepointForm::CnnFacePoint, faults),
        SourceFormat::Json => json::read_annotations(path, faults),
        SourceFormat::Celeba => celeba(path, source.landmarks.as_deref(), faults),
        SourceFormat::Retinaface => any_form(source, AnyForm::RetinaFace, faults),
        SourceFormat::Coco => any_form(source, AnyForm::Coco, faults),
        SourceFormat::Labelme => any_form(source, AnyForm::Labelme, faults),
        SourceFormat::Voc => any_form(source, AnyForm::Voc, faults),
        SourceFormat::Yolo => any_form(source, AnyForm::Yolo, faults),
        SourceFormat::Pts => any_form(source, AnyForm::Pts, faults),
        SourceFormat::Wflw => any_form(source, AnyForm::Wflw, faults),
        SourceFormat::Folder => folder(path),
    };
    Ok(images?)
}

fn any_form(source: &Source, form: AnyForm, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    any::read(&source.annotations, &source.images_folder(), Some(form), faults)
}

/// All files below `path` that are called as pictures are, in the order of their names. Those that are not
/// read here are named with the others that cannot be.
fn folder(path: &Path) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut images = Vec::new();
    for entry in WalkDir::new(path).sort_by_file_name() {
        let entry = entry.map_err(|error| FileError::Read { path: error.path().unwrap_or(path).into(), source: error.into() })?;
        if entry.file_type().is_file() && is_picture_name(entry.path()) {
            let path = entry.path().strip_prefix(path).unwrap_or(entry.path()).to_string_lossy().into_owned();
            images.push(AnnotatedImage { path, ..AnnotatedImage::default() });
        }
    }
    Ok(images)
}

/// Reads CelebA's two files, or the folder that contains both under their original names.
fn celeba(boxes: &Path, landmarks: Option<&Path>, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    if boxes.is_dir() {
        return celeba::read(boxes, faults);
    }
    let landmarks = landmarks.map_or_else(|| folder_of(boxes).join("list_landmarks_celeba.txt"), Path::to_owned);
    let points = celeba::parse_landmarks(&bytes(&landmarks)?, &mut faults.of(&landmarks))?;
    let images = celeba::parse_boxes(&bytes(boxes)?, &mut faults.of(boxes))?;
    celeba::join(images, points, &landmarks, faults)
}

/// Reads a whole file of annotations, up to the size limit of the readers.
fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    const LIMIT: u64 = 1 << 30;
    Ok(files::read(path, LIMIT)?)
}

/// The images that the lists of `source` leave out.
fn left_out(source: &Source) -> Result<HashSet<String>, DataError> {
    let mut paths = HashSet::new();
    for list in &source.except {
        paths.extend(String::from_utf8_lossy(&bytes(list)?).lines().map(image_path));
    }
    Ok(paths)
}

/// At most `most` of the photos of one source, in the same order.
fn drawn(photos: Vec<Photo>, folder: &Path, most: usize, seed: u32) -> impl Iterator<Item = Photo> {
    let mut order = ranked(&photos, folder, seed);
    order.truncate(most);
    let kept: HashSet<usize> = order.into_iter().collect();
    photos.into_iter().enumerate().filter(move |(index, _)| kept.contains(index)).map(|(_, photo)| photo)
}

/// The indices of `photos`, of one source, in the order that `seed` gives them.
fn ranked(photos: &[Photo], folder: &Path, seed: u32) -> Vec<usize> {
    let mut order: Vec<([u8; 32], usize)> = photos.iter().map(|photo| rank(&photo.path, folder, seed)).zip(0..).collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// Assigns a part to each photo of one source, according to `shares` of their number.
fn split(photos: &mut [Photo], folder: &Path, shares: [u32; 3], seed: u32) {
    let order = ranked(photos, folder, seed);
    let counts = counts(photos.len(), shares);
    let parts = DataPart::ALL.into_iter().zip(counts).flat_map(|(part, count)| std::iter::repeat_n(part, count));
    for (index, part) in order.into_iter().zip(parts) {
        photos[index].part = part;
    }
}

/// Determines the position in the order. It depends on the path below the folder of images, so that the
/// folder may be moved.
fn rank(path: &Path, folder: &Path, seed: u32) -> [u8; 32] {
    let name = path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/");
    Sha256::new().chain_update(seed.to_le_bytes()).chain_update(name).finalize().into()
}

/// Divides `count` images by `shares`, rounding down; the rest is for training. Every share above 0 receives
/// at least one image if there are enough images.
fn counts(count: usize, shares: [u32; 3]) -> [usize; 3] {
    let whole: u64 = shares.iter().map(|&share| u64::from(share)).sum();
    let asked = shares.iter().filter(|&&share| share > 0).count();
    let part = |share: u32| {
        let least = usize::from(share > 0 && count >= asked);
        ((count as u64 * u64::from(share) / whole.max(1)) as usize).max(least)
    };
    let (validation, test) = (part(shares[1]), part(shares[2]));
    [count.saturating_sub(validation + test), validation, test]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_their_shares() {
        assert_eq!(counts(1000, [80, 10, 10]), [800, 100, 100]);
        assert_eq!(counts(1009, [80, 10, 10]), [809, 100, 100]);
        assert_eq!(counts(12, [80, 10, 10]), [10, 1, 1]);
        assert_eq!(counts(3, [80, 10, 10]), [1, 1, 1]);
        assert_eq!(counts(2, [80, 10, 10]), [2, 0, 0]);
        assert_eq!(counts(5, [1, 0, 0]), [5, 0, 0]);
        assert_eq!(counts(10, [2, 1, 0]), [7, 3, 0]);
    }

    fn pool(names: impl Iterator<Item = usize>, seed: u32) -> Vec<(PathBuf, DataPart)> {
        let uses = Uses { negatives: true, faces: true, landmarks: true };
        let photo = |i| {
            let path = Path::new("there").join(format!("{i}.jpg"));
            let (named_by, faces, part) = (("list".into(), 1), Vec::new(), DataPart::Training);
            Photo { path, source: 0, named_by, faces, uses, negatives: None, min_face_px: None, part }
        };
        let mut photos: Vec<Photo> = names.map(photo).collect();
        split(&mut photos, Path::new("there"), [80, 10, 10], seed);
        let mut parts: Vec<(PathBuf, DataPart)> = photos.into_iter().map(|photo| (photo.path, photo.part)).collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        parts
    }

    #[test]
    fn seed_and_name_decide_the_part_whatever_the_order_of_the_list() {
        let parts = pool(0..500, 1);
        assert_eq!(parts, pool((0..500).rev(), 1));
        assert_ne!(parts, pool(0..500, 2));
        for (part, count) in DataPart::ALL.into_iter().zip([400, 50, 50]) {
            assert_eq!(parts.iter().filter(|(_, other)| *other == part).count(), count);
        }
    }
}
