//! WIDER FACE ground truth as its evaluation uses it: `wider_face_val.mat` and
//! `wider_{easy,medium,hard}_val.mat`.
//!
//! The first has, by event and image, the file's name, the faces `x y width height` and their attributes; the
//! others the numbers, from 1, of the faces that count in a setting. See spec section 7.1.

use std::path::Path;

use super::fault::read_file;
use super::{AnnotatedImage, Annotation, Attributes, DataError, Faults, FileFaults};
use crate::formats::matlab::{self, MatArray};
use crate::geometry::BoundingBox;

/// The settings of the evaluation, in the order of [`GroundTruth::counted`].
pub const SETTINGS: [&str; 3] = ["easy", "medium", "hard"];

/// The validation set.
#[derive(Debug, Clone, PartialEq)]
pub struct GroundTruth {
    /// All images, event by event. Unlike elsewhere, faces whose box has no area are kept: the settings count
    /// them by their place.
    pub images: Vec<AnnotatedImage>,
    /// By setting, image and face: whether it counts. Others are to be ignored.
    pub counted: [Vec<Vec<bool>>; 3],
}

/// The ground truth of the four files in `folder`.
///
/// # Errors
///
/// [`DataError`] if a file cannot be read or is not what it should be, or for the first fault if `faults` are
/// strict.
pub fn read(folder: &Path, faults: &mut Faults) -> Result<GroundTruth, DataError> {
    let path = folder.join("wider_face_val.mat");
    let images = parse_images(&read_file(&path)?, &mut faults.of(&path))?;
    let mut counted = [const { Vec::new() }; 3];
    for (setting, counted) in SETTINGS.iter().zip(&mut counted) {
        let path = folder.join(format!("wider_{setting}_val.mat"));
        *counted = parse_setting(&read_file(&path)?, &images, &mut faults.of(&path))?;
    }
    Ok(GroundTruth { images, counted })
}

/// The images in the bytes of `wider_face_val.mat`.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is not such a file, [`DataError::Fault`] for the first fault if `faults` are
/// strict.
pub fn parse_images(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let variables = Variables::read(bytes, faults)?;
    let (events, names, boxes) = (variables.cells("event_list")?, variables.cells("file_list")?, variables.nested("face_bbx_list")?);
    const LABELS: [&str; 6] = ["blur", "expression", "illumination", "invalid", "occlusion", "pose"];
    let labels = LABELS.map(|label| variables.nested(&format!("{label}_label_list")).ok());
    let mut images = Vec::new();
    for (event, (folder, names)) in events.iter().zip(names).enumerate() {
        let (MatArray::Text(folder), MatArray::Cells(names)) = (folder, names) else {
            return Err(variables.unusable(format!("event {} has no name or no list of images", event + 1)));
        };
        for (image, name) in names.iter().enumerate() {
            let at = |list: &[&[MatArray]]| -> Option<(usize, Vec<f64>)> {
                let MatArray::Numbers { rows, values } = list.get(event)?.get(image)? else { return None };
                Some((*rows, values.clone()))
            };
            let (MatArray::Text(name), Some((rows, values))) = (name, at(&boxes)) else {
                return Err(variables.unusable(format!("image {} of {folder} has no name or no faces", image + 1)));
            };
            let path = format!("{folder}/{name}.jpg");
            if values.len() != 4 * rows {
                return Err(variables.unusable(format!("the faces of {path} are not rows of four numbers")));
            }
            let labels = labels.each_ref().map(|list| at(list.as_deref()?).map(|(_, values)| values));
            let faces = (0..rows).map(|face| annotation(face, rows, &values, &labels)).collect::<Vec<_>>();
            for (face, _) in faces.iter().enumerate().filter(|(_, face)| face.bounding_box.area() == 0.0) {
                faults.noted(0, format!("face {} of {path} has a box without area: kept in its place", face + 1))?;
            }
            images.push(AnnotatedImage { path, faces, line: 0 });
        }
    }
    Ok(images)
}

fn annotation(face: usize, rows: usize, values: &[f64], labels: &[Option<Vec<f64>>; 6]) -> Annotation {
    let [x, y, width, height] = [0, 1, 2, 3].map(|column| values[column * rows + face]);
    let [blur, expression, illumination, invalid, occlusion, pose] =
        labels.each_ref().map(|list| list.as_ref().and_then(|list| list.get(face)).map_or(0, |&label| label as u8));
    let invalid = invalid != 0;
    let [x1, y1, x2, y2] = [x, y, x + width, y + height].map(|edge| edge as f32);
    let finite = [x1, y1, x2, y2].iter().all(|edge| edge.is_finite());
    Annotation {
        // One that is not finite has no area either.
        bounding_box: if finite { BoundingBox { x1, y1, x2, y2 } } else { BoundingBox { x1: 0.0, y1: 0.0, x2: 0.0, y2: 0.0 } },
        landmarks: None,
        ignore: invalid,
        attributes: Attributes { blur, expression, illumination, invalid, occlusion, pose },
    }
}

/// By image and face, whether it counts by the bytes of `wider_<setting>_val.mat`.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is not such a file or is of other images, [`DataError::Fault`] for the first
/// fault if `faults` are strict.
pub fn parse_setting(bytes: &[u8], images: &[AnnotatedImage], faults: &mut FileFaults) -> Result<Vec<Vec<bool>>, DataError> {
    let variables = Variables::read(bytes, faults)?;
    let lists: Vec<&MatArray> = variables.nested("gt_list")?.into_iter().flatten().collect();
    if lists.len() != images.len() {
        return Err(variables.unusable(format!("speaks of {} images, the set has {}", lists.len(), images.len())));
    }
    let mut counted = Vec::with_capacity(images.len());
    for (image, list) in images.iter().zip(lists) {
        let MatArray::Numbers { values, .. } = list else {
            return Err(variables.unusable(format!("the list of faces of {} is not one of numbers", image.path)));
        };
        let mut counts = vec![false; image.faces.len()];
        for &number in values {
            match counts.get_mut((number as usize).wrapping_sub(1)) {
                Some(counts) => *counts = true,
                None => faults.skipped(0, format!("face {number} of {} is one of {}: skipped", image.path, image.faces.len()))?,
            }
        }
        counted.push(counts);
    }
    Ok(counted)
}

/// The variables of a file.
struct Variables {
    path: std::path::PathBuf,
    all: Vec<(String, MatArray)>,
}

impl Variables {
    fn read(bytes: &[u8], faults: &FileFaults) -> Result<Self, DataError> {
        let all = matlab::variables(bytes).map_err(|what| faults.unusable(format!("cannot be read: {what}")))?;
        Ok(Self { path: faults.path().into(), all })
    }

    fn unusable(&self, what: impl Into<String>) -> DataError {
        DataError::Unusable { path: self.path.clone(), what: format!("is not WIDER FACE ground truth: {}", what.into()) }
    }

    /// The list `name`, which has an entry per event.
    fn cells(&self, name: &str) -> Result<&[MatArray], DataError> {
        match self.all.iter().find(|(variable, _)| variable == name) {
            Some((_, MatArray::Cells(cells))) => Ok(cells),
            _ => Err(self.unusable(format!("it has no list {name:?}"))),
        }
    }

    /// The list of lists `name`: by event and image.
    fn nested(&self, name: &str) -> Result<Vec<&[MatArray]>, DataError> {
        let mut lists = Vec::new();
        for event in self.cells(name)? {
            let MatArray::Cells(cells) = event else { return Err(self.unusable(format!("an entry of {name:?} is no list"))) };
            lists.push(&cells[..]);
        }
        Ok(lists)
    }
}
