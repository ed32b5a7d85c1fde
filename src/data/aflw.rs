//! AFLW's database, `aflw.sqlite`: faces of the tables `Faces`, `FaceImages`, `FaceRect` and `FeatureCoords`.
//!
//! Of the 21 points five are read: the centres of the eyes (8 and 11), of the nose (15) and the corners of
//! the mouth (18 and 20). AFLW counts left and right as the viewer does. See spec section 7.3.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use glam::Vec2;

use super::fault::read_file;
use super::text::box_of_sides;
use super::{AnnotatedImage, Annotation, DataError, Faults, FileFaults};
use crate::formats::sqlite::{Database, SqlValue};
use crate::geometry::BoundingBox;

/// AFLW's numbers of our five points, in our order.
pub const POINT_IDS: [i64; 5] = [8, 11, 15, 18, 20];

/// The faces in the database at `path`, by image in the order of its path. A face of which a point is not
/// visible has no landmarks.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read or is no such database, or for the first fault if `faults` are
/// strict.
pub fn read(path: &Path, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    parse(&read_file(path)?, &mut faults.of(path))
}

/// The faces in the bytes of a database.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is no such database, [`DataError::Fault`] for the first fault if `faults`
/// are strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let unusable = |what: String| faults.unusable(format!("is not the database of AFLW: {what}"));
    let tables = Tables::read(bytes).map_err(unusable)?;
    let mut images: BTreeMap<&str, Vec<Annotation>> = BTreeMap::new();
    for (&face, file) in &tables.faces {
        let Some(path) = tables.paths.get(file) else {
            faults.skipped(0, format!("face {face} is in file {file:?}, which has no entry in FaceImages: face skipped"))?;
            continue;
        };
        let bounding_box = match tables.boxes.get(&face) {
            Some(Ok(found)) => *found,
            Some(Err(what)) => {
                faults.skipped(0, format!("face {face} in {path:?}: {what}: face skipped"))?;
                continue;
            }
            None => {
                faults.skipped(0, format!("face {face} in {path:?} has no entry in FaceRect: face skipped"))?;
                continue;
            }
        };
        let points = tables.points.get(&face).copied().unwrap_or_default();
        let landmarks = points.iter().all(Option::is_some).then(|| points.map(Option::unwrap_or_default));
        images.entry(path).or_default().push(Annotation { landmarks, ..Annotation::new(bounding_box) });
    }
    if images.is_empty() {
        faults.noted(0, "holds no faces")?;
    }
    Ok(images.into_iter().map(|(path, faces)| AnnotatedImage { path: path.to_owned(), faces, line: 0 }).collect())
}

/// What the tables say.
#[derive(Default)]
struct Tables {
    /// Name of the file by number of the face.
    faces: BTreeMap<i64, String>,
    /// Path by name of the file.
    paths: HashMap<String, String>,
    boxes: HashMap<i64, Result<BoundingBox, String>>,
    points: HashMap<i64, [Option<Vec2>; 5]>,
}

impl Tables {
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let database = Database::open(bytes)?;
        let mut tables = Self::default();
        database.rows("Faces", &["face_id", "file_id"], &mut |row| {
            if let [SqlValue::Integer(face), SqlValue::Text(file)] = row {
                tables.faces.insert(*face, file.clone());
            }
        })?;
        database.rows("FaceImages", &["file_id", "filepath"], &mut |row| {
            if let [SqlValue::Text(file), SqlValue::Text(path)] = row {
                tables.paths.insert(file.clone(), path.clone());
            }
        })?;
        database.rows("FaceRect", &["face_id", "x", "y", "w", "h"], &mut |row| {
            if let [SqlValue::Integer(face), sides @ ..] = row {
                let sides: Vec<f64> = sides.iter().map(number).collect();
                let found = if let [x, y, width, height] = sides[..] { box_of_sides(x, y, width, height) } else { Err("no box".into()) };
                tables.boxes.insert(*face, found);
            }
        })?;
        database.rows("FeatureCoords", &["face_id", "feature_id", "x", "y"], &mut |row| {
            let [SqlValue::Integer(face), SqlValue::Integer(feature), x, y] = row else { return };
            let point = Vec2::new(number(x) as f32, number(y) as f32);
            if let Some(place) = POINT_IDS.iter().position(|id| id == feature).filter(|_| point.is_finite()) {
                tables.points.entry(*face).or_default()[place] = Some(point);
            }
        })?;
        Ok(tables)
    }
}

/// NaN for what is no number, which no box and no point accepts.
fn number(value: &SqlValue) -> f64 {
    match value {
        SqlValue::Integer(value) => *value as f64,
        SqlValue::Real(value) => *value,
        _ => f64::NAN,
    }
}
