//! RetinaFace's `label.txt`: WIDER FACE's images with five points.
//!
//! `# path` names an image; the rows after it are its faces: `x y width height`, then if there are points
//! `x y flag` of each of five, and a number that says how clear the face is. Points of -1 are not labelled. A
//! face without points is one all the same.

use super::text::{SeenNames, TextLine, box_of_sides, lines, points_of_pairs};
use super::{AnnotatedImage, Annotation, DataError, FileFaults, image_path};

/// Whether `bytes` are of this form: the first thing in them is a `#`.
pub fn is(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start().starts_with(b"#")
}

/// The faces in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut seen = SeenNames::default();
    let mut images: Vec<AnnotatedImage> = Vec::new();
    let mut open = false;
    for line in lines(bytes, faults)? {
        if let Some(name) = line.text.strip_prefix('#') {
            let path = image_path(name);
            open = !path.is_empty() && seen.is_new(&path, line.number, faults)?;
            if open {
                images.push(AnnotatedImage { path, faces: Vec::new(), line: line.number });
            } else if path.is_empty() {
                faults.skipped(line.number, "`#` without the name of an image: its faces are skipped")?;
            }
            continue;
        }
        match (face(line), images.last_mut().filter(|_| open)) {
            (Ok(face), Some(image)) => image.faces.push(face),
            (Err(what), _) => faults.skipped(line.number, format!("{what}: face skipped"))?,
            (Ok(_), None) => faults.skipped(line.number, "a face of no image: skipped")?,
        }
    }
    Ok(images)
}

fn face(line: TextLine) -> Result<Annotation, String> {
    let values = line.numbers()?;
    let (&[x, y, width, height], rest) = values.split_first_chunk().ok_or("fewer than the four numbers x y width height")?;
    let mut face = Annotation::new(box_of_sides(x, y, width, height)?);
    if rest.is_empty() {
        return Ok(face);
    }
    let triples = rest.first_chunk::<15>().filter(|_| rest.len() <= 16);
    let triples = triples.ok_or_else(|| format!("{} numbers where 4, 19 or 20 are expected", values.len()))?;
    let labelled = triples.as_chunks::<3>().0.iter().all(|&[x, y, flag]| !(x == -1.0 && y == -1.0) && flag != -1.0);
    let pairs: [f64; 10] = std::array::from_fn(|at| triples[at / 2 * 3 + at % 2]);
    face.landmarks = labelled.then(|| points_of_pairs(&pairs));
    Ok(face)
}
