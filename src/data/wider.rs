//! WIDER FACE: annotation text, and the tree of prediction files.
//!
//! Annotations (`wider_face_val_bbx_gt.txt`): the path of an image; the number `n` of faces; `n` rows
//! `x y width height blur expression illumination invalid occlusion pose`, of which the first four will do.
//! After `n = 0` there may be one row of zeros.
//!
//! Predictions: one file an image, `<event>/<stem>.txt`: the image's name; the number of boxes; rows
//! `x y width height score`.
//!
//! RetinaFace's `label.txt`, which annotates the same images, is read in its place: see [`retinaface`].
//!
//! Boxes are taken as continuous: `(x, y)` to `(x + width, y + height)`. See spec section 7.1.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::fault::{read_file, write_file};
use super::text::{SeenNames, TextLine, blocks, box_of_sides, lines};
use super::{AnnotatedImage, Annotation, Attributes, DataError, Detection, Faults, FileFaults, ImageDetections, image_path, retinaface};
use crate::files::FileError;

/// The annotations in the file at `path`.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, or for the first fault if `faults` are strict.
pub fn read(path: &Path, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    parse(&read_file(path)?, &mut faults.of(path))
}

/// The annotations in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    if retinaface::is(bytes) {
        return retinaface::parse(bytes, faults);
    }
    let lines = lines(bytes, faults)?;
    let mut seen = SeenNames::default();
    let mut images = Vec::new();
    for block in blocks(&lines, 4, true, faults)? {
        if !seen.is_new(block.name.text, block.name.number, faults)? {
            continue;
        }
        let mut faces = Vec::with_capacity(block.rows.len());
        for &row in block.rows {
            match annotation(row) {
                Ok(face) => faces.push(face),
                Err(what) => faults.skipped(row.number, format!("{what}: face skipped"))?,
            }
        }
        images.push(AnnotatedImage { path: image_path(block.name.text), faces, line: block.name.number });
    }
    Ok(images)
}

fn annotation(row: TextLine) -> Result<Annotation, String> {
    let values = row.numbers()?;
    let (&[x, y, width, height], attributes) = values.split_first_chunk().ok_or("fewer than 4 numbers")?;
    let bounding_box = box_of_sides(x, y, width, height)?;
    let attributes = match *attributes {
        [] => Attributes::default(),
        [blur, expression, illumination, invalid, occlusion, pose] => {
            let small = |value: f64| {
                let whole = (0.0..=255.0).contains(&value) && value.fract() == 0.0;
                whole.then_some(value as u8).ok_or(format!("{value} is no attribute of a face"))
            };
            Attributes {
                blur: small(blur)?,
                expression: small(expression)?,
                illumination: small(illumination)?,
                invalid: small(invalid)? != 0,
                occlusion: small(occlusion)?,
                pose: small(pose)?,
            }
        }
        _ => return Err(format!("{} numbers where 4 or 10 are expected", values.len())),
    };
    Ok(Annotation { bounding_box, landmarks: None, ignore: attributes.invalid, attributes })
}

/// `images` in this form.
pub fn to_text(images: &[AnnotatedImage]) -> String {
    let mut text = String::new();
    for image in images {
        let _ = writeln!(text, "{}\n{}", image.path, image.faces.len());
        if image.faces.is_empty() {
            text += "0 0 0 0 0 0 0 0 0 0\n";
        }
        for face in &image.faces {
            let (b, a) = (face.bounding_box, face.attributes);
            let _ = write!(text, "{} {} {} {}", b.x1, b.y1, f64::from(b.x2) - f64::from(b.x1), f64::from(b.y2) - f64::from(b.y1));
            let invalid = u8::from(a.invalid);
            let _ = writeln!(text, " {} {} {} {invalid} {} {}", a.blur, a.expression, a.illumination, a.occlusion, a.pose);
        }
    }
    text
}

/// All predictions below the folder `root`, in order of path. The path of each is `<event>/<stem>`, of its
/// file, not of its first line.
///
/// # Errors
///
/// [`DataError`] if a folder or file cannot be read, or for the first fault if `faults` are strict.
pub fn read_predictions(root: &Path, faults: &mut Faults) -> Result<Vec<ImageDetections>, DataError> {
    let mut found = Vec::new();
    for event in entries(root)? {
        let folder = root.join(&event);
        if !folder.is_dir() {
            faults.of(&folder).skipped(0, "is not a folder of predictions, named like an event: skipped")?;
            continue;
        }
        for name in entries(&folder)? {
            let path = folder.join(&name);
            let Some(stem) = name.strip_suffix(".txt") else {
                faults.of(&path).skipped(0, "is not a .txt file of predictions: skipped")?;
                continue;
            };
            found.extend(parse_prediction(&format!("{event}/{stem}"), &read_file(&path)?, &mut faults.of(&path))?);
        }
    }
    if found.is_empty() {
        faults.of(root).noted(0, "holds no predictions; <event>/<image>.txt is expected below it")?;
    }
    Ok(found)
}

/// Names in a folder, sorted, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<String>, DataError> {
    let failed = |source| FileError::Read { path: folder.into(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// The prediction file in `bytes`, of the image `path`; `None` if no part of it can be used.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse_prediction(path: &str, bytes: &[u8], faults: &mut FileFaults) -> Result<Option<ImageDetections>, DataError> {
    let lines = lines(bytes, faults)?;
    let blocks = blocks(&lines, 5, false, faults)?;
    let [block, more @ ..] = &blocks[..] else { return Ok(None) };
    if let Some(second) = more.first() {
        faults.skipped(second.name.number, "a second image in a file of one: skipped")?;
    }
    let name = |path: &str| super::image_key(path).rsplit('/').next().unwrap_or_default().to_owned();
    if name(block.name.text) != name(path) {
        faults.noted(block.name.number, format!("names {:?}; the file's own name is believed", block.name.text))?;
    }
    let mut faces = Vec::with_capacity(block.rows.len());
    for &row in block.rows {
        match detection(row) {
            Ok(face) => faces.push(face),
            Err(what) => faults.skipped(row.number, format!("{what}: detection skipped"))?,
        }
    }
    sort(&mut faces, block.name.number, faults)?;
    Ok(Some(ImageDetections { path: path.to_owned(), faces, line: block.name.number, ..ImageDetections::default() }))
}

fn detection(row: TextLine) -> Result<Detection, String> {
    let &[x, y, width, height, score] = &row.numbers()?[..] else { return Err("not the five numbers x y width height score".into()) };
    Ok(Detection { bounding_box: box_of_sides(x, y, width, height)?, score, landmarks: None })
}

/// Best first; equal ones stay in order. That they were not is noted.
pub(super) fn sort(faces: &mut [Detection], line: usize, faults: &mut FileFaults) -> Result<(), DataError> {
    if !faces.is_sorted_by(|a, b| a.score >= b.score) {
        faults.noted(line, "detections are not sorted by score: sorted")?;
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    }
    Ok(())
}

/// Writes one file per image to `<root>/<event>/<stem>.txt`, where `<event>/<stem>` are the last two parts of
/// its path.
///
/// # Errors
///
/// [`DataError::File`] if the system refuses, [`DataError::Unusable`] if a path has no folder to be the
/// event.
pub fn write_predictions(root: &Path, images: &[ImageDetections]) -> Result<(), DataError> {
    for image in images {
        let key = super::image_key(&image.path);
        let mut parts = key.rsplit('/').filter(|part| !part.is_empty());
        let (Some(stem), Some(event)) = (parts.next(), parts.next().filter(|event| *event != "..")) else {
            return Err(DataError::Unusable { path: image.path.clone().into(), what: "is in no folder that could be its event".into() });
        };
        let folder = root.join(event);
        fs::create_dir_all(&folder).map_err(|source| FileError::Write { path: folder.clone(), source })?;
        write_file(&folder.join(format!("{stem}.txt")), &prediction_text(stem, &image.faces))?;
    }
    Ok(())
}

/// The prediction file of the image `name`.
pub fn prediction_text(name: &str, faces: &[Detection]) -> String {
    let mut text = format!("{name}\n{}\n", faces.len());
    for face in faces {
        let b = face.bounding_box;
        let (width, height) = (f64::from(b.x2) - f64::from(b.x1), f64::from(b.y2) - f64::from(b.y1));
        let _ = writeln!(text, "{} {} {width} {height} {}", b.x1, b.y1, face.score);
    }
    text
}
