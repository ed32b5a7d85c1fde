//! Lists of one face a line with five points: `CNN_FacePoint` and MTFL.
//!
//! `CNN_FacePoint` (Sun et al. 2013; `imageList.txt`): path, left, right, top, bottom, then `x y` of left
//! eye, right eye, nose, left and right mouth corner. MTFL (Zhang et al. 2014; `training.txt`): path, five x,
//! five y, then gender, smile, glasses and pose. Both have fifteen fields, so the caller must know which it
//! is.

use std::path::Path;

use super::fault::read_file;
use super::text::{TextLine, box_of_edges, lines, points_of_pairs};
use super::{AnnotatedImage, Annotation, DataError, Faults, FileFaults};
use crate::geometry::{BoundingBox, Landmarks};

/// Side of the square that stands for a face in MTFL, which has no boxes, as a multiple of the larger extent
/// of the five points.
///
/// The median of that ratio over the boxes of `CNN_FacePoint`, whose middles are those of their points within
/// 0.02 of it.
pub const MTFL_BOX_SCALE: f32 = 1.8;

/// Which of the two forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FacepointForm {
    /// Box and points.
    CnnFacePoint,
    /// Points and attributes; boxes are made up by [`MTFL_BOX_SCALE`].
    Mtfl,
}

/// The faces in the file at `path`, gathered by image in the order of first mention.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, or for the first fault if `faults` are strict.
pub fn read(path: &Path, form: FacepointForm, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    parse(&read_file(path)?, form, &mut faults.of(path))
}

/// The faces in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse(bytes: &[u8], form: FacepointForm, faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut images: Vec<AnnotatedImage> = Vec::new();
    let mut by_path = std::collections::HashMap::new();
    for line in lines(bytes, faults)? {
        let (path, face) = match face(line, form) {
            Ok(found) => found,
            Err(what) => {
                faults.skipped(line.number, format!("{what}: face skipped"))?;
                continue;
            }
        };
        let index = *by_path.entry(path.clone()).or_insert(images.len());
        let Some(image) = images.get_mut(index) else {
            images.push(AnnotatedImage { path, faces: vec![face], line: line.number });
            continue;
        };
        if image.faces.contains(&face) {
            faults.skipped(line.number, format!("the same face of {path:?} was there already at or after line {}: skipped", image.line))?;
        } else {
            image.faces.push(face);
        }
    }
    Ok(images)
}

/// The path, with `/`, and the face of a line. A path may contain blanks: the numbers are the last fields.
fn face(line: TextLine, form: FacepointForm) -> Result<(String, Annotation), String> {
    let fields: Vec<&str> = line.fields().collect();
    let (path, values) = fields.split_last_chunk::<14>().filter(|(path, _)| !path.is_empty()).ok_or("not a path and 14 numbers")?;
    let first = values[0].as_ptr() as usize - line.text.as_ptr() as usize;
    let name = line.text.get(..first).map_or_else(|| path.join(" "), |name| name.trim_end().to_owned());
    let mut numbers = [0.0; 14];
    for (slot, field) in numbers.iter_mut().zip(values) {
        *slot = super::text::number(field)?;
    }
    let (bounding_box, landmarks) = match form {
        FacepointForm::CnnFacePoint => {
            let (&[left, right, top, bottom], points) = numbers.split_first_chunk().ok_or("too few numbers")?;
            let points = points.first_chunk().ok_or("too few numbers")?;
            (box_of_edges(left, top, right, bottom)?, points_of_pairs(points))
        }
        FacepointForm::Mtfl => {
            let points: [f64; 10] = std::array::from_fn(|at| numbers[at / 2 + 5 * (at % 2)]);
            let points = points_of_pairs(&points);
            (box_around(&points)?, points)
        }
    };
    Ok((name.replace('\\', "/"), Annotation { landmarks: Some(landmarks), ..Annotation::new(bounding_box) }))
}

/// The square about the middle of `points` by [`MTFL_BOX_SCALE`].
pub(super) fn box_around(points: &Landmarks) -> Result<BoundingBox, String> {
    let low = points.iter().fold(points[0], |low, point| low.min(*point));
    let high = points.iter().fold(points[0], |high, point| high.max(*point));
    let half = (high - low).max_element() * MTFL_BOX_SCALE / 2.0;
    let middle = (low + high) / 2.0;
    let [x1, y1, x2, y2] = [middle.x - half, middle.y - half, middle.x + half, middle.y + half].map(f64::from);
    box_of_edges(x1, y1, x2, y2)
}
