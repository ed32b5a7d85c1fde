//! FDDB: lists of images, ellipses, detections, and ROC curves.
//!
//! Images (`FDDB-fold-NN.txt`): one name a line, without extension. Ellipses (`...-ellipseList.txt`): name;
//! `n`; rows `major_radius minor_radius angle x y 1`. Detections (`fold-NN-out.txt`): name; `n`; rows
//! `x y width height score`, or the first five numbers of an ellipse and a score. Curves (`...DiscROC.txt`,
//! `...ContROC.txt`): rows `rate false_positives threshold`. See spec section 7.2.

use std::fmt::Write as _;
use std::path::Path;

use super::fault::{read_file, write_file};
use super::text::{SeenNames, blocks, box_of_sides, lines};
use super::{DataError, Faults, FileFaults};
use crate::geometry::BoundingBox;

/// A turned ellipse, in `image` space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ellipse {
    /// Half of the long axis, px.
    pub major_radius: f64,
    /// Half of the short axis, px.
    pub minor_radius: f64,
    /// From the x axis to the long axis, radians, positive towards y (down).
    pub angle: f64,
    /// Centre, px from the left.
    pub x: f64,
    /// Centre, px from the top.
    pub y: f64,
}

impl Ellipse {
    /// The smallest box around it.
    pub fn bounding_box(&self) -> BoundingBox {
        let (sin, cos) = self.angle.sin_cos();
        let half_width = (self.major_radius * cos).hypot(self.minor_radius * sin);
        let half_height = (self.major_radius * sin).hypot(self.minor_radius * cos);
        BoundingBox {
            x1: (self.x - half_width) as f32,
            y1: (self.y - half_height) as f32,
            x2: (self.x + half_width) as f32,
            y2: (self.y + half_height) as f32,
        }
    }
}

/// The part of an image that a detector calls a face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Region {
    /// By its edges.
    Rectangle(BoundingBox),
    /// As the annotations do.
    Ellipse(Ellipse),
}

/// One image and what the file says about it: ellipses, or regions with scores.
#[derive(Debug, Clone, PartialEq)]
pub struct FddbImage<T> {
    /// Its name, without extension.
    pub name: String,
    /// In the order of the file.
    pub faces: Vec<T>,
    /// Where the file says so, from 1.
    pub line: usize,
}

/// A region and how sure the detector was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredRegion {
    /// Where.
    pub region: Region,
    /// The more, the surer; finite.
    pub score: f64,
}

/// A point of a ROC curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Discrete: share of the faces found. Continuous: their summed overlap over the number of faces.
    pub rate: f64,
    /// Wrong detections over the whole set.
    pub false_positives: f64,
    /// Detections with at least this score were counted.
    pub threshold: f64,
}

/// The ellipses in the file at `path`.
///
/// # Errors
///
/// [`DataError`] if the file cannot be read, or for the first fault if `faults` are strict. So with the other
/// readers.
pub fn read_ellipses(path: &Path, faults: &mut Faults) -> Result<Vec<FddbImage<Ellipse>>, DataError> {
    parse_ellipses(&read_file(path)?, &mut faults.of(path))
}

/// The detections in the file at `path`: rectangles and ellipses, in the order of the file.
///
/// # Errors
///
/// As [`read_ellipses`].
pub fn read_detections(path: &Path, faults: &mut Faults) -> Result<Vec<FddbImage<ScoredRegion>>, DataError> {
    parse_detections(&read_file(path)?, &mut faults.of(path))
}

/// The curve in the file at `path`.
///
/// # Errors
///
/// As [`read_ellipses`].
pub fn read_roc(path: &Path, faults: &mut Faults) -> Result<Vec<RocPoint>, DataError> {
    parse_roc(&read_file(path)?, &mut faults.of(path))
}

/// The ellipses in `bytes`.
///
/// # Errors
///
/// [`DataError::Fault`] for the first fault if `faults` are strict. So with the other parsers.
pub fn parse_ellipses(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<FddbImage<Ellipse>>, DataError> {
    parse_images(bytes, "face", faults, |values| match *values {
        [major, minor, angle, x, y] | [major, minor, angle, x, y, _] => ellipse(major, minor, angle, x, y),
        _ => Err("not the numbers major_radius minor_radius angle x y 1".into()),
    })
}

/// The detections in `bytes`.
///
/// # Errors
///
/// As [`parse_ellipses`].
pub fn parse_detections(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<FddbImage<ScoredRegion>>, DataError> {
    parse_images(bytes, "detection", faults, |values| match *values {
        [x, y, width, height, score] => Ok(ScoredRegion { region: Region::Rectangle(box_of_sides(x, y, width, height)?), score }),
        [major, minor, angle, x, y, score] => Ok(ScoredRegion { region: Region::Ellipse(ellipse(major, minor, angle, x, y)?), score }),
        _ => Err("neither x y width height score nor an ellipse and a score".into()),
    })
}

fn parse_images<T>(
    bytes: &[u8],
    row_is: &str,
    faults: &mut FileFaults,
    row: impl Fn(&[f64]) -> Result<T, String>,
) -> Result<Vec<FddbImage<T>>, DataError> {
    let lines = lines(bytes, faults)?;
    let mut seen = SeenNames::default();
    let mut images = Vec::new();
    for block in blocks(&lines, 5, false, faults)? {
        if !seen.is_new(block.name.text, block.name.number, faults)? {
            continue;
        }
        let mut faces = Vec::with_capacity(block.rows.len());
        for &line in block.rows {
            match line.numbers().and_then(|values| row(&values)) {
                Ok(face) => faces.push(face),
                Err(what) => faults.skipped(line.number, format!("{what}: {row_is} skipped"))?,
            }
        }
        images.push(FddbImage { name: super::image_path(block.name.text), faces, line: block.name.number });
    }
    Ok(images)
}

fn ellipse(major_radius: f64, minor_radius: f64, angle: f64, x: f64, y: f64) -> Result<Ellipse, String> {
    if major_radius > 0.0 && minor_radius > 0.0 {
        Ok(Ellipse { major_radius, minor_radius, angle, x, y })
    } else {
        Err(format!("an ellipse of radii {major_radius} and {minor_radius} has no area"))
    }
}

/// The image names in `bytes`.
///
/// # Errors
///
/// As [`parse_ellipses`].
pub fn parse_names(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<String>, DataError> {
    let mut seen = SeenNames::default();
    let mut names = Vec::new();
    for line in lines(bytes, faults)? {
        if line.count().is_some() {
            faults.skipped(line.number, format!("{:?} is not the name of an image: skipped", line.text))?;
        } else if seen.is_new(line.text, line.number, faults)? {
            names.push(line.text.to_owned());
        }
    }
    Ok(names)
}

/// The curve in `bytes`. The threshold may be missing, as in some published files; it is NaN then.
///
/// # Errors
///
/// As [`parse_ellipses`].
pub fn parse_roc(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<RocPoint>, DataError> {
    let mut points = Vec::new();
    for line in lines(bytes, faults)? {
        match line.numbers().as_deref() {
            Ok(&[rate, false_positives]) => points.push(RocPoint { rate, false_positives, threshold: f64::NAN }),
            Ok(&[rate, false_positives, threshold]) => points.push(RocPoint { rate, false_positives, threshold }),
            Ok(values) => faults.skipped(line.number, format!("{} numbers where 3 are expected: point skipped", values.len()))?,
            Err(what) => faults.skipped(line.number, format!("{what}: point skipped"))?,
        }
    }
    Ok(points)
}

/// Detections in their form: a rectangle in five numbers, an ellipse in six.
pub fn detections_text(images: &[FddbImage<ScoredRegion>]) -> String {
    let mut text = String::new();
    for image in images {
        let _ = writeln!(text, "{}\n{}", image.name, image.faces.len());
        for ScoredRegion { region, score } in &image.faces {
            let _ = match region {
                Region::Rectangle(b) => {
                    let (width, height) = (f64::from(b.x2) - f64::from(b.x1), f64::from(b.y2) - f64::from(b.y1));
                    writeln!(text, "{} {} {width} {height} {score}", b.x1, b.y1)
                }
                Region::Ellipse(e) => writeln!(text, "{} {} {} {} {} {score}", e.major_radius, e.minor_radius, e.angle, e.x, e.y),
            };
        }
    }
    text
}

/// A curve in its form.
pub fn roc_text(points: &[RocPoint]) -> String {
    points.iter().map(|point| format!("{} {} {}\n", point.rate, point.false_positives, point.threshold)).collect()
}

/// Writes [`detections_text`] to `path`, whole or not at all.
///
/// # Errors
///
/// [`DataError::File`] if the system refuses.
pub fn write_detections(path: &Path, images: &[FddbImage<ScoredRegion>]) -> Result<(), DataError> {
    write_file(path, &detections_text(images))
}

/// Writes [`roc_text`] to `path`, whole or not at all.
///
/// # Errors
///
/// [`DataError::File`] if the system refuses.
pub fn write_roc(path: &Path, points: &[RocPoint]) -> Result<(), DataError> {
    write_file(path, &roc_text(points))
}
