//! JSON lines, one image each: annotations in a plain form of our own, and detections as
//! `mtcmcn detect --json` prints them.
//!
//! ```json
//! {"path": "a.jpg", "faces": [{"box": [x1, y1, x2, y2], "landmarks": [[x, y], [x, y], [x, y], [x, y], [x, y]], "ignore": false}]}
//! {"path": "a.jpg", "width": 640, "height": 480, "faces": [{"box": [x1, y1, x2, y2], "score": 0.98, "landmarks": [...]}], "truncated": false}
//! {"path": "b.jpg", "error": "why it could not be searched"}
//! ```
//!
//! Boxes are pixel edges. An annotated face may leave out its landmarks and every flag; it may have WIDER
//! FACE's `blur`, `expression`, `illumination`, `invalid`, `occlusion` and `pose`. A detected face may leave
//! out its landmarks, an image its size. Other fields are passed over, so that both may carry more.

use std::borrow::Cow;
use std::path::Path;

use glam::Vec2;
use serde::{Deserialize, Serialize};

use super::fault::read_file;
use super::text::{SeenNames, box_of_edges, lines};
use super::{AnnotatedImage, Annotation, Attributes, DataError, Detection, Faults, FileFaults, ImageDetections};
use crate::geometry::{BoundingBox, Landmarks};

#[derive(Serialize, Deserialize)]
struct AnnotatedRecord<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    faces: Vec<AnnotatedFace>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct AnnotatedFace {
    r#box: [f32; 4],
    #[serde(skip_serializing_if = "Option::is_none")]
    landmarks: Option<[[f32; 2]; 5]>,
    #[serde(skip_serializing_if = "is_default")]
    ignore: bool,
    #[serde(skip_serializing_if = "is_default")]
    blur: u8,
    #[serde(skip_serializing_if = "is_default")]
    expression: u8,
    #[serde(skip_serializing_if = "is_default")]
    illumination: u8,
    #[serde(skip_serializing_if = "is_default")]
    invalid: bool,
    #[serde(skip_serializing_if = "is_default")]
    occlusion: u8,
    #[serde(skip_serializing_if = "is_default")]
    pose: u8,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Serialize, Deserialize)]
struct DetectedRecord<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
    #[serde(default)]
    faces: Vec<DetectedFace>,
    #[serde(default)]
    truncated: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

#[derive(Serialize, Deserialize)]
struct DetectedFace {
    r#box: [f32; 4],
    score: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    landmarks: Option<[[f32; 2]; 5]>,
}

/// The same with its embedding.
#[derive(Serialize)]
struct EmbeddedFace<'a> {
    #[serde(flatten)]
    face: DetectedFace,
    embedding: Option<&'a [f32]>,
}

/// The annotations in the file at `path`.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, or for the first fault if `faults` are strict.
pub fn read_annotations(path: &Path, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    parse_annotations(&read_file(path)?, &mut faults.of(path))
}

/// The detections in the file at `path`.
///
/// # Errors
///
/// As [`read_annotations`].
pub fn read_detections(path: &Path, faults: &mut Faults) -> Result<Vec<ImageDetections>, DataError> {
    parse_detections(&read_file(path)?, &mut faults.of(path))
}

/// The annotations in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse_annotations(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut seen = SeenNames::default();
    let mut images = Vec::new();
    for line in lines(bytes, faults)? {
        let record: AnnotatedRecord = match serde_json::from_str(line.text) {
            Ok(record) => record,
            Err(error) => {
                faults.skipped(line.number, format!("not an annotated image ({error}): skipped"))?;
                continue;
            }
        };
        if !seen.is_new(&record.path, line.number, faults)? {
            continue;
        }
        let mut faces = Vec::with_capacity(record.faces.len());
        for face in &record.faces {
            match annotation(face) {
                Ok(face) => faces.push(face),
                Err(what) => faults.skipped(line.number, format!("{what}: face skipped"))?,
            }
        }
        images.push(AnnotatedImage { path: super::image_path(&record.path), faces, line: line.number });
    }
    Ok(images)
}

/// The detections in `bytes`. An image that the detector could not search is reported and left out.
///
/// # Errors
///
/// As [`parse_annotations`].
pub fn parse_detections(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<ImageDetections>, DataError> {
    let mut seen = SeenNames::default();
    let mut images = Vec::new();
    for line in lines(bytes, faults)? {
        let record: DetectedRecord = match serde_json::from_str(line.text) {
            Ok(record) => record,
            Err(error) => {
                faults.skipped(line.number, format!("not the detections of an image ({error}): skipped"))?;
                continue;
            }
        };
        if let Some(error) = record.error {
            faults.skipped(line.number, format!("{:?} was not searched ({error}): skipped", record.path))?;
            continue;
        }
        if !seen.is_new(&record.path, line.number, faults)? {
            continue;
        }
        let mut faces = Vec::with_capacity(record.faces.len());
        for face in &record.faces {
            match detection(face) {
                Ok(face) => faces.push(face),
                Err(what) => faults.skipped(line.number, format!("{what}: detection skipped"))?,
            }
        }
        super::wider::sort(&mut faces, line.number, faults)?;
        let size = record.width.zip(record.height).map(|(width, height)| [width, height]);
        images.push(ImageDetections { path: record.path.into_owned(), size, faces, truncated: record.truncated, line: line.number });
    }
    Ok(images)
}

fn annotation(face: &AnnotatedFace) -> Result<Annotation, String> {
    Ok(Annotation {
        bounding_box: bounding_box(face.r#box)?,
        landmarks: landmarks(face.landmarks)?,
        ignore: face.ignore || face.invalid,
        attributes: Attributes {
            blur: face.blur,
            expression: face.expression,
            illumination: face.illumination,
            invalid: face.invalid,
            occlusion: face.occlusion,
            pose: face.pose,
        },
    })
}

fn detection(face: &DetectedFace) -> Result<Detection, String> {
    let score = face.score;
    if !score.is_finite() {
        return Err(format!("{score} is no score"));
    }
    Ok(Detection { bounding_box: bounding_box(face.r#box)?, score, landmarks: landmarks(face.landmarks)? })
}

fn bounding_box([x1, y1, x2, y2]: [f32; 4]) -> Result<BoundingBox, String> {
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(f64::from);
    box_of_edges(x1, y1, x2, y2)
}

fn landmarks(points: Option<[[f32; 2]; 5]>) -> Result<Option<Landmarks>, String> {
    let points = points.map(|points| points.map(Vec2::from));
    match points.iter().flatten().find(|point| !point.is_finite()) {
        Some(point) => Err(format!("a landmark at {point}")),
        None => Ok(points),
    }
}

/// One line, with its end, of the annotations of `image`.
pub fn annotation_line(image: &AnnotatedImage) -> String {
    let faces = image.faces.iter().map(|face| AnnotatedFace {
        r#box: edges(face.bounding_box),
        landmarks: face.landmarks.map(|points| points.map(|point| point.to_array())),
        ignore: face.ignore,
        blur: face.attributes.blur,
        expression: face.attributes.expression,
        illumination: face.attributes.illumination,
        invalid: face.attributes.invalid,
        occlusion: face.attributes.occlusion,
        pose: face.attributes.pose,
    });
    line(&AnnotatedRecord { path: Cow::Borrowed(&image.path), faces: faces.collect() })
}

/// One line, with its end, of what was detected in `image`.
pub fn detection_line(image: &ImageDetections) -> String {
    line(&detected_record(image))
}

/// The same with `more` fields.
pub fn detection_line_with(image: &ImageDetections, more: &serde_json::Map<String, serde_json::Value>) -> String {
    #[derive(Serialize)]
    struct Extended<'a> {
        #[serde(flatten)]
        record: DetectedRecord<'a>,
        #[serde(flatten)]
        more: &'a serde_json::Map<String, serde_json::Value>,
    }
    line(&Extended { record: detected_record(image), more })
}

/// The same with an embedding for each face, if it has one.
pub fn embedded_line(image: &ImageDetections, embeddings: &[Option<&[f32]>]) -> String {
    #[derive(Serialize)]
    struct EmbeddedRecord<'a> {
        path: &'a str,
        width: Option<u32>,
        height: Option<u32>,
        faces: Vec<EmbeddedFace<'a>>,
        truncated: bool,
    }
    let faces =
        image.faces.iter().zip(embeddings).map(|(face, embedding)| EmbeddedFace { face: detected_face(face), embedding: *embedding });
    let [width, height] = image.size.map_or([None; 2], |size| size.map(Some));
    line(&EmbeddedRecord { path: &image.path, width, height, faces: faces.collect(), truncated: image.truncated })
}

fn detected_record(image: &ImageDetections) -> DetectedRecord<'_> {
    let faces = image.faces.iter().map(detected_face);
    let [width, height] = image.size.map_or([None; 2], |size| size.map(Some));
    let path = Cow::Borrowed(&*image.path);
    DetectedRecord { path, width, height, faces: faces.collect(), truncated: image.truncated, error: None }
}

fn detected_face(face: &Detection) -> DetectedFace {
    DetectedFace {
        r#box: edges(face.bounding_box),
        score: face.score,
        landmarks: face.landmarks.map(|points| points.map(|point| point.to_array())),
    }
}

/// One line, with its end, about the image `path`, which could not be searched because of `error`; `more` are
/// fields beside these.
pub fn refused_line(path: &str, error: &str, more: &serde_json::Map<String, serde_json::Value>) -> String {
    #[derive(Serialize)]
    struct Refused<'a> {
        path: &'a str,
        error: &'a str,
        #[serde(flatten)]
        more: &'a serde_json::Map<String, serde_json::Value>,
    }
    line(&Refused { path, error, more })
}

fn edges(b: BoundingBox) -> [f32; 4] {
    [b.x1, b.y1, b.x2, b.y2]
}

fn line(record: &impl Serialize) -> String {
    // Structs of numbers and text always have a form in JSON; a number that is not finite becomes null.
    serde_json::to_string(record).unwrap_or_default() + "\n"
}
