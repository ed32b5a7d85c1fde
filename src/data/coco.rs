//! COCO's JSON: `images`, `annotations` with `bbox` as `x y width height`, and `categories`.
//!
//! Of categories, `face` and the like are faces, heads and persons are regions where faces may be; where
//! there is one category alone, its objects are faces whatever it is called, unless it is called one of
//! those. Keypoints `x y visibility` are read if there are five of them, or as many as
//! [`points`](super::points) reduces to five. Crowds count neither for nor against.

use std::collections::HashMap;

use serde::Deserialize;

use super::class::{Class, Others, class};
use super::points::{five, from_pairs};
use super::text::{SeenNames, box_of_sides};
use super::{AnnotatedImage, Annotation, DataError, FileFaults, image_path};

#[derive(Deserialize)]
struct Coco {
    images: Vec<CocoImage>,
    annotations: Vec<CocoObject>,
    #[serde(default)]
    categories: Vec<CocoCategory>,
}

#[derive(Deserialize)]
struct CocoImage {
    id: serde_json::Value,
    file_name: String,
}

#[derive(Deserialize)]
struct CocoCategory {
    id: i64,
    name: String,
}

#[derive(Deserialize)]
struct CocoObject {
    image_id: serde_json::Value,
    #[serde(default)]
    category_id: i64,
    #[serde(default)]
    bbox: Vec<f64>,
    #[serde(default)]
    keypoints: Vec<f64>,
    #[serde(default)]
    iscrowd: i64,
}

/// The faces in `bytes`.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is no such JSON, [`DataError::Fault`] for the first fault if `faults` are
/// strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let coco: Coco = serde_json::from_slice(bytes).map_err(|error| faults.unusable(format!("is not COCO's JSON: {error}")))?;
    let names: HashMap<i64, &str> = coco.categories.iter().map(|category| (category.id, &*category.name)).collect();
    let alone = coco.categories.len() < 2;
    let (mut seen, mut images, mut places) = (SeenNames::default(), Vec::new(), HashMap::new());
    for image in &coco.images {
        let path = image_path(&image.file_name);
        if seen.is_new(&path, 0, faults)? {
            places.insert(image.id.to_string(), images.len());
            images.push(AnnotatedImage { path, ..AnnotatedImage::default() });
        }
    }
    let mut others = Others::default();
    for (number, object) in coco.annotations.iter().enumerate() {
        let name = names.get(&object.category_id).copied().unwrap_or("");
        let kind = match class(name) {
            Class::Other if alone => Class::Face,
            kind => kind,
        };
        if kind == Class::Other {
            others.add(name);
            continue;
        }
        let Some(image) = places.get(&object.image_id.to_string()).and_then(|&at| images.get_mut(at)) else {
            faults.skipped(0, format!("annotation {number} is of image {}, which is not among its images: skipped", object.image_id))?;
            continue;
        };
        match face(object) {
            Ok(mut face) => {
                face.ignore |= kind == Class::Region;
                image.faces.push(face);
            }
            Err(what) => faults.skipped(0, format!("annotation {number}, in {:?}: {what}: face skipped", image.path))?,
        }
    }
    others.tell(faults)?;
    Ok(images)
}

fn face(object: &CocoObject) -> Result<Annotation, String> {
    let &[x, y, width, height] = &object.bbox[..] else { return Err("no bbox of four numbers".into()) };
    let mut face = Annotation::new(box_of_sides(x, y, width, height)?);
    face.ignore = object.iscrowd != 0;
    let (triples, rest) = object.keypoints.as_chunks::<3>();
    if rest.is_empty() && triples.iter().all(|&[x, y, seen]| seen > 0.0 && x.is_finite() && y.is_finite()) {
        let pairs: Vec<f64> = triples.iter().flat_map(|&[x, y, _]| [x, y]).collect();
        face.landmarks = five(&from_pairs(&pairs)).filter(|points| points.iter().all(|point| point.is_finite()));
    }
    Ok(face)
}
