//! labelme's JSON, one file an image: `imagePath` and `shapes`, of which rectangles, polygons and circles are
//! read as boxes.
//!
//! A label with `face` in it is a face, heads and persons are regions where faces may be. Points are not
//! read.

use serde::Deserialize;

use super::class::{Class, Others, class};
use super::text::box_of_edges;
use super::{AnnotatedImage, Annotation, DataError, FileFaults, image_path};

#[derive(Deserialize)]
struct Labelme {
    #[serde(rename = "imagePath")]
    image: String,
    shapes: Vec<LabelmeShape>,
}

#[derive(Deserialize)]
struct LabelmeShape {
    label: String,
    points: Vec<[f64; 2]>,
    #[serde(default)]
    shape_type: String,
}

/// The faces in `bytes`.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is no such JSON, [`DataError::Fault`] for the first fault if `faults` are
/// strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let file: Labelme = serde_json::from_slice(bytes).map_err(|error| faults.unusable(format!("is not labelme's JSON: {error}")))?;
    let mut others = Others::default();
    let mut faces = Vec::new();
    for (number, shape) in file.shapes.iter().enumerate() {
        let kind = class(&shape.label);
        if kind == Class::Other || matches!(&*shape.shape_type, "point" | "line" | "linestrip") {
            others.add(&shape.label);
            continue;
        }
        match bounding_box(shape) {
            Ok(face) => faces.push(Annotation { ignore: kind == Class::Region, ..face }),
            Err(what) => faults.skipped(0, format!("shape {number}: {what}: face skipped"))?,
        }
    }
    others.tell(faults)?;
    // Mostly the name alone, or the way from the JSON file to it.
    Ok(vec![AnnotatedImage { path: image_path(&file.image), faces, line: 0 }])
}

fn bounding_box(shape: &LabelmeShape) -> Result<Annotation, String> {
    let points = match (&*shape.shape_type, &shape.points[..]) {
        // The centre and a point of the rim.
        ("circle", &[[x, y], [rim_x, rim_y]]) => {
            let radius = (rim_x - x).hypot(rim_y - y);
            vec![[x - radius, y - radius], [x + radius, y + radius]]
        }
        (_, points) if points.len() > 1 => points.to_vec(),
        _ => return Err("fewer than two points".into()),
    };
    let fold = |axis: usize, pick: fn(f64, f64) -> f64| points.iter().map(|point| point[axis]).reduce(pick).unwrap_or(f64::NAN);
    Ok(Annotation::new(box_of_edges(fold(0, f64::min), fold(1, f64::min), fold(0, f64::max), fold(1, f64::max))?))
}
