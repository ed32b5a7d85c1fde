//! Files of many points a face, reduced to five: 300-W's `.pts` (68 or 49 points, or five), and WFLW's lists
//! (98 points).
//!
//! The rule, with points counted from 0: an eye is the mean of the points around it, 36 to 41 and 42 to 47 of
//! 68, 19 to 24 and 25 to 30 of 49, 60 to 67 and 68 to 75 of 98; the nose is its tip, 30, 13 or 54; the
//! corners of the mouth are 48 and 54, 31 and 37, or 76 and 82. "Left" is as the viewer sees it. A `.pts`
//! file has no box: it is made from the five points as for MTFL.

use glam::Vec2;

use super::text::{TextLine, box_of_edges, lines, number};
use super::{AnnotatedImage, Annotation, DataError, FileFaults, facepoint, image_path};
use crate::geometry::Landmarks;

/// Pairs `x y` as points.
pub(super) fn from_pairs(values: &[f64]) -> Vec<Vec2> {
    values.as_chunks::<2>().0.iter().map(|&[x, y]| Vec2::new(x as f32, y as f32)).collect()
}

/// The five points of 5, 49, 68 or 98; `None` of another number.
pub fn five(points: &[Vec2]) -> Option<Landmarks> {
    let mean = |range: std::ops::RangeInclusive<usize>| {
        let count = range.clone().count() as f32;
        range.map(|at| points[at]).sum::<Vec2>() / count
    };
    Some(match points.len() {
        5 => [points[0], points[1], points[2], points[3], points[4]],
        49 => [mean(19..=24), mean(25..=30), points[13], points[31], points[37]],
        68 => [mean(36..=41), mean(42..=47), points[30], points[48], points[54]],
        98 => [mean(60..=67), mean(68..=75), points[54], points[76], points[82]],
        _ => return None,
    })
}

/// The face in the bytes of a `.pts` file: `version`, `n_points`, and a point a line within braces.
///
/// # Errors
///
/// [`DataError::Unusable`] if it is no such file, [`DataError::Fault`] for the first fault if `faults` are
/// strict.
pub fn parse_pts(bytes: &[u8], faults: &mut FileFaults) -> Result<Annotation, DataError> {
    let mut points = Vec::new();
    let (mut promised, mut inside) = (None, false);
    for line in lines(bytes, faults)? {
        match line.text {
            "{" => inside = true,
            "}" => inside = false,
            text if !inside => {
                if let Some(count) = text.strip_prefix("n_points:") {
                    promised = count.trim().parse::<usize>().ok();
                }
            }
            _ => match line.numbers().as_deref() {
                Ok(&[x, y]) => points.push(Vec2::new(x as f32, y as f32)),
                _ => return Err(faults.unusable(format!("has {:?} where a point belongs, in line {}", line.text, line.number))),
            },
        }
    }
    if promised.is_some_and(|promised| promised != points.len()) {
        return Err(faults.unusable(format!("promises {} points and has {}", promised.unwrap_or(0), points.len())));
    }
    let Some(five) = five(&points) else { return Err(faults.unusable(format!("has {} points, not 5, 49, 68 or 98", points.len()))) };
    let bounding_box = facepoint::box_around(&five).map_err(|what| faults.unusable(format!("has points without extent: {what}")))?;
    Ok(Annotation { landmarks: Some(five), ..Annotation::new(bounding_box) })
}

/// Whether `bytes` are of WFLW's form: the first line has 196 numbers of points, four of a box and six flags
/// before a name, or no more than the points.
pub fn is_wflw(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let numbers = fields.take_while(|field| std::str::from_utf8(field).is_ok_and(|field| field.parse::<f64>().is_ok())).count();
    matches!(numbers, 196 | 206)
}

/// The faces in the bytes of a list of WFLW: 98 points, then if there are any `x1 y1 x2 y2` and six flags,
/// and the path.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse_wflw(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut images: Vec<AnnotatedImage> = Vec::new();
    let mut by_path = std::collections::HashMap::new();
    for line in lines(bytes, faults)? {
        match wflw(line) {
            Ok((path, face)) => {
                let at = *by_path.entry(path.clone()).or_insert(images.len());
                if at == images.len() {
                    images.push(AnnotatedImage { path, faces: Vec::new(), line: line.number });
                }
                images[at].faces.push(face);
            }
            Err(what) => faults.skipped(line.number, format!("{what}: face skipped"))?,
        }
    }
    Ok(images)
}

fn wflw(line: TextLine) -> Result<(String, Annotation), String> {
    let fields: Vec<&str> = line.fields().collect();
    let count = fields.iter().take_while(|field| field.parse::<f64>().is_ok()).count();
    // A name may begin with numbers.
    let count = if count >= 206 && fields.len() > 206 { 206 } else { 196.min(count) };
    if count < 196 || fields.len() == count {
        return Err("not the 196 numbers of 98 points, and the name of an image".into());
    }
    let values = fields[..count].iter().map(|field| number(field)).collect::<Result<Vec<f64>, String>>()?;
    let five = five(&from_pairs(&values[..196])).ok_or("no 98 points")?;
    let bounding_box = match values[196..] {
        [x1, y1, x2, y2, ..] => box_of_edges(x1, y1, x2, y2)?,
        _ => facepoint::box_around(&five)?,
    };
    let start = fields[count].as_ptr() as usize - line.text.as_ptr() as usize;
    Ok((image_path(&line.text[start..]), Annotation { landmarks: Some(five), ..Annotation::new(bounding_box) }))
}
