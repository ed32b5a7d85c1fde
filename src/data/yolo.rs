//! YOLO's labels, one text file an image: rows `class x y width height`, of the middle, as shares of the
//! picture's sides; then if there are points `x y` or `x y visibility` of each of five.
//!
//! Class 0 is a face, unless names are given with the labels: then what is called so. The picture's size is
//! not in the file, so the picture has to be at hand.

use super::class::{Class, Others, class};
use super::text::{TextLine, box_of_sides, lines, points_of_pairs};
use super::{Annotation, DataError, FileFaults};

/// The faces in `bytes`, of a picture of `size`; `names` are those of the classes, none if they are not
/// known.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse(bytes: &[u8], size: [u32; 2], names: &[String], faults: &mut FileFaults) -> Result<Vec<Annotation>, DataError> {
    let mut faces = Vec::new();
    if bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii().is_empty() {
        // How a picture without objects is written.
        return Ok(faces);
    }
    let mut others = Others::default();
    for line in lines(bytes, faults)? {
        let (number, found) = match face(line, size) {
            Ok(found) => found,
            Err(what) => {
                faults.skipped(line.number, format!("{what}: face skipped"))?;
                continue;
            }
        };
        let kind = match names.get(number) {
            Some(name) if names.len() > 1 || class(name) != Class::Other => class(name),
            _ if number == 0 => Class::Face,
            _ => Class::Other,
        };
        match kind {
            Class::Other => others.add(names.get(number).unwrap_or(&number.to_string())),
            kind => faces.push(Annotation { ignore: kind == Class::Region, ..found }),
        }
    }
    others.tell(faults)?;
    Ok(faces)
}

fn face(line: TextLine, [width, height]: [u32; 2]) -> Result<(usize, Annotation), String> {
    let values = line.numbers()?;
    let (&[class, x, y, w, h], points) = values.split_first_chunk().ok_or("fewer than the five numbers class x y width height")?;
    if class < 0.0 || class.fract() != 0.0 || class > 1e4 {
        return Err(format!("{class} is no class"));
    }
    if [x, y, w, h].iter().any(|share| share.abs() > 2.0) {
        return Err("a box in pixels where shares of the picture are expected".into());
    }
    let [width, height] = [width, height].map(f64::from);
    let mut face = Annotation::new(box_of_sides((x - w / 2.0) * width, (y - h / 2.0) * height, w * width, h * height)?);
    let pairs: Vec<f64> = match points.len() {
        0 => return Ok((class as usize, face)),
        10 => points.to_vec(),
        15 => points.as_chunks::<3>().0.iter().flat_map(|&[x, y, _]| [x, y]).collect(),
        count => return Err(format!("{count} numbers behind the box, where 10 or 15 of five points are expected")),
    };
    // Points that are not labelled are -1 or 0.
    let labelled = points.len() != 15 || points.as_chunks::<3>().0.iter().all(|&[_, _, seen]| seen > 0.0);
    let scaled: Vec<f64> = pairs.as_chunks::<2>().0.iter().flat_map(|&[x, y]| [x * width, y * height]).collect();
    if let Some(scaled) = scaled.first_chunk::<10>().filter(|_| labelled && pairs.iter().all(|share| *share > 0.0)) {
        face.landmarks = Some(points_of_pairs(scaled));
    }
    Ok((class as usize, face))
}

/// Names of classes in the text of a `classes.txt` or `obj.names`: one a line.
pub fn names(text: &str) -> Vec<String> {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}
