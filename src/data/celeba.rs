//! CelebA: `list_bbox_celeba.txt` and `list_landmarks_celeba.txt`, both of the unaligned photos.
//!
//! Each starts with the number of images and a line of column names. Rows are `name x y width height`, and
//! `name` with `x y` of left eye, right eye, nose, left and right mouth corner. An image has one face. The
//! same as CSV, as Kaggle has it, begins with the names of columns.
//!
//! `list_landmarks_align_celeba` is of other pictures, the aligned ones, and is refused.

use std::collections::HashMap;
use std::path::Path;

use super::fault::read_file;
use super::text::{SeenNames, TextLine, box_of_sides, lines, points_of_pairs};
use super::{AnnotatedImage, Annotation, DataError, Faults, FileFaults};

/// The faces of the two files in `folder`.
///
/// # Errors
///
/// [`DataError`] if a file cannot be read, or for the first fault if `faults` are strict.
pub fn read(folder: &Path, faults: &mut Faults) -> Result<Vec<AnnotatedImage>, DataError> {
    let either = |stem: &str| {
        let csv = folder.join(format!("{stem}.csv"));
        if csv.is_file() { csv } else { folder.join(format!("{stem}.txt")) }
    };
    let (boxes, landmarks) = (either("list_bbox_celeba"), either("list_landmarks_celeba"));
    let points = parse_landmarks(&read_file(&landmarks)?, &mut faults.of(&landmarks))?;
    let images = parse_boxes(&read_file(&boxes)?, &mut faults.of(&boxes))?;
    join(images, points, &landmarks, faults)
}

/// The points of an image, and the line they stand in.
pub type PointsByImage = HashMap<String, (crate::geometry::Landmarks, usize)>;

/// Gives each face its points. A face without points, and points without a face, are reported as faults of
/// the file `landmarks`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first of them if `faults` are strict.
pub fn join(
    mut images: Vec<AnnotatedImage>,
    mut points: PointsByImage,
    landmarks: &Path,
    faults: &mut Faults,
) -> Result<Vec<AnnotatedImage>, DataError> {
    let mut faults = faults.of(landmarks);
    for image in &mut images {
        match points.remove(&image.path) {
            Some((points, _)) => image.faces.iter_mut().for_each(|face| face.landmarks = Some(points)),
            None => faults.noted(0, format!("has no points for {:?}: used without", image.path))?,
        }
    }
    let mut left: Vec<(usize, String)> = points.into_iter().map(|(name, (_, line))| (line, name)).collect();
    left.sort();
    for (line, name) in left {
        faults.skipped(line, format!("{name:?} has points but no usable box: skipped"))?;
    }
    Ok(images)
}

/// The faces of `list_bbox_celeba.txt` in `bytes`, without points.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse_boxes(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    let rows = rows::<4>(bytes, faults, "the four numbers x y width height")?;
    let mut images = Vec::with_capacity(rows.len());
    for (name, [x, y, width, height], line) in rows {
        match box_of_sides(x, y, width, height) {
            Ok(found) => images.push(AnnotatedImage { path: name, faces: vec![Annotation::new(found)], line }),
            Err(what) => faults.skipped(line, format!("{what}: image skipped"))?,
        }
    }
    Ok(images)
}

/// The points of `list_landmarks_celeba.txt` in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict.
pub fn parse_landmarks(bytes: &[u8], faults: &mut FileFaults) -> Result<PointsByImage, DataError> {
    if faults.path().file_name().is_some_and(|name| name.to_string_lossy().contains("align")) {
        return Err(
            faults.unusable("has the points of the aligned pictures, while boxes are of the originals: list_landmarks_celeba is needed")
        );
    }
    let rows = rows::<10>(bytes, faults, "the ten numbers of five points")?;
    Ok(rows.into_iter().map(|(name, values, line)| (name, (points_of_pairs(&values), line))).collect())
}

type CelebaRow<const N: usize> = (String, [f64; N], usize);

/// The rows of a list after its two lines of heading, which are checked.
fn rows<const N: usize>(bytes: &[u8], faults: &mut FileFaults, expected: &str) -> Result<Vec<CelebaRow<N>>, DataError> {
    let lines = lines(bytes, faults)?;
    let mut rest = &lines[..];
    let mut promised = None;
    match rest.split_first() {
        Some((first, after)) if first.count().is_some() => (promised, rest) = (first.count().map(|count| (first.number, count)), after),
        Some((first, _)) if first.text.contains(',') => {}
        Some((first, _)) => faults.noted(first.number, "the number of images is expected first: not checked")?,
        None => {}
    }
    if let Some((heading, after)) = rest.split_first()
        && fields(*heading).all(|field| field.parse::<f64>().is_err())
    {
        rest = after;
    }
    let mut seen = SeenNames::default();
    let mut found = Vec::new();
    for &line in rest {
        match row::<N>(line) {
            Ok((name, values)) if seen.is_new(&name, line.number, faults)? => found.push((name, values, line.number)),
            Ok(_) => {}
            Err(what) => faults.skipped(line.number, format!("{what} where a name and {expected} belong: image skipped"))?,
        }
    }
    if let Some((line, count)) = promised.filter(|(_, count)| *count != rest.len()) {
        faults.noted(line, format!("{count} image(s) promised, {} row(s) follow", rest.len()))?;
    }
    Ok(found)
}

/// What stands between blanks, or between commas if there are any.
fn fields(line: TextLine<'_>) -> impl Iterator<Item = &str> {
    let commas = line.text.contains(',');
    let parts = line.text.split(move |c: char| if commas { c == ',' } else { c.is_ascii_whitespace() });
    parts.map(|part| part.trim().trim_matches('"')).filter(|part| !part.is_empty())
}

fn row<const N: usize>(line: TextLine) -> Result<(String, [f64; N]), String> {
    let mut fields = fields(line);
    let name = fields.next().ok_or("nothing")?.to_owned();
    let values = fields.map(super::text::number).collect::<Result<Vec<f64>, String>>()?;
    Ok((name, values.try_into().map_err(|values: Vec<f64>| format!("{} number(s)", values.len()))?))
}
