//! Error of five landmarks divided by the distance between the eyes (spec section 7.3).

use super::matching::iou;
use crate::data::{Annotation, Detection};
use crate::geometry::Landmarks;

/// Names of the five landmarks, in the order of [`Landmarks`].
pub const LANDMARKS: [&str; 5] = ["left eye", "right eye", "nose", "left mouth corner", "right mouth corner"];

/// Mean error above which a face counts as failed.
pub const FAILURE: f64 = 0.1;

/// Overlap from which an annotated face with points is found, unless another is asked for. These sets' boxes
/// end at the brows, so that a detector's box around the whole head, with every point in place, may overlap
/// them by less than half.
pub const OVERLAP: f64 = 0.3;

/// One annotated face that was looked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ComparedFace {
    /// The face was found with landmarks; error of each landmark, divided by the distance between the eyes.
    Yes([f64; 5]),
    /// No detection with landmarks overlaps the face enough.
    No,
    /// The face is flagged, or lacks five distinct landmarks, and does not count.
    Skipped,
}

impl ComparedFace {
    /// Returns the mean error over the five landmarks; `None` unless the face was found.
    pub fn error(&self) -> Option<f64> {
        match self {
            Self::Yes(errors) => Some(errors.iter().sum::<f64>() / errors.len() as f64),
            _ => None,
        }
    }
}

/// Landmark errors over all faces.
#[derive(Debug, Clone, PartialEq)]
pub struct LandmarkScore {
    /// Number of faces that count.
    pub faces: usize,
    /// Number of faces that were not found.
    pub misses: usize,
    /// Number of annotated faces that do not count.
    pub skipped: usize,
    /// Mean error over found faces and landmarks; NaN if no face was found.
    pub mean: f64,
    /// Standard error of the mean over faces.
    pub standard_error: f64,
    /// Median of the faces' mean errors.
    pub median: f64,
    /// Mean error of each landmark over found faces.
    pub by_landmark: [f64; 5],
    /// Share of all faces that were not found or have a mean error above [`FAILURE`].
    pub failures: f64,
    /// Mean errors of the found faces, in ascending order.
    pub errors: Vec<f64>,
}

/// Compares the landmarks of one annotated face with those of the detection of highest overlap, which must be
/// at least `at_least`.
pub fn compare(face: &Annotation, detections: &[Detection], at_least: f64) -> ComparedFace {
    let Some((points, eyes)) = face.landmarks.map(|points| (points, distance(&points, 0, &points, 1))).filter(|(_, eyes)| *eyes > 0.0)
    else {
        return ComparedFace::Skipped;
    };
    if face.ignore {
        return ComparedFace::Skipped;
    }
    let mut best: Option<(f64, Landmarks)> = None;
    for detection in detections {
        let Some(landmarks) = detection.landmarks else { continue };
        let overlap = iou(&face.bounding_box, &detection.bounding_box, 0.0);
        if overlap >= at_least && best.is_none_or(|(least, _)| overlap > least) {
            best = Some((overlap, landmarks));
        }
    }
    best.map_or(ComparedFace::No, |(_, landmarks)| ComparedFace::Yes(std::array::from_fn(|k| distance(&points, k, &landmarks, k) / eyes)))
}

fn distance(a: &Landmarks, i: usize, b: &Landmarks, j: usize) -> f64 {
    (f64::from(a[i].x) - f64::from(b[j].x)).hypot(f64::from(a[i].y) - f64::from(b[j].y))
}

/// Computes the errors over all faces.
pub fn score(faces: &[ComparedFace]) -> LandmarkScore {
    let found: Vec<[f64; 5]> =
        faces.iter().filter_map(|face| if let ComparedFace::Yes(errors) = face { Some(*errors) } else { None }).collect();
    let misses = faces.iter().filter(|face| **face == ComparedFace::No).count();
    let mut errors: Vec<f64> = faces.iter().filter_map(ComparedFace::error).collect();
    errors.sort_by(f64::total_cmp);
    let count = errors.len() as f64;
    let mean = errors.iter().sum::<f64>() / count;
    let spread = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let middle = errors.len() / 2;
    let median = match errors.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => (errors[middle - 1] + errors[middle]) / 2.0,
        _ => errors[middle],
    };
    let failed = misses + errors.iter().filter(|&&error| error > FAILURE).count();
    let looked_for = errors.len() + misses;
    LandmarkScore {
        faces: looked_for,
        misses,
        skipped: faces.len() - looked_for,
        mean,
        standard_error: (spread / count).sqrt(),
        median,
        by_landmark: std::array::from_fn(|k| found.iter().map(|errors| errors[k]).sum::<f64>() / count),
        failures: failed as f64 / looked_for as f64,
        errors,
    }
}

impl LandmarkScore {
    /// Returns the cumulative error curve: `[error, share of all faces with at most this mean error]`, in
    /// ascending order. Faces that were not found are never included in the share.
    pub fn curve(&self) -> Vec<[f64; 2]> {
        let share = |index: usize| (index + 1) as f64 / self.faces as f64;
        std::iter::once([0.0, 0.0]).chain(self.errors.iter().enumerate().map(|(index, &error)| [error, share(index)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec2;

    use super::*;
    use crate::geometry::BoundingBox;

    const POINTS: Landmarks =
        [Vec2::new(10.0, 10.0), Vec2::new(30.0, 10.0), Vec2::new(20.0, 20.0), Vec2::new(12.0, 30.0), Vec2::new(28.0, 30.0)];

    fn face() -> Annotation {
        Annotation { landmarks: Some(POINTS), ..Annotation::new(BoundingBox { x1: 0.0, y1: 0.0, x2: 40.0, y2: 40.0 }) }
    }

    fn found(x1: f32, shift: f32) -> Detection {
        let bounding_box = BoundingBox { x1, y1: 0.0, x2: x1 + 40.0, y2: 40.0 };
        Detection { bounding_box, score: 1.0, landmarks: Some(POINTS.map(|point| point + Vec2::new(0.0, shift))) }
    }

    #[test]
    fn the_detection_that_overlaps_most_is_compared() {
        let near = [found(4.0, 8.0), found(1.0, 2.0), Detection { landmarks: None, ..found(0.0, 0.0) }];
        assert_eq!(compare(&face(), &near, 0.5), ComparedFace::Yes([0.1; 5]));
        assert_eq!(compare(&face(), &[found(30.0, 0.0)], 0.5), ComparedFace::No);
        assert_eq!(compare(&Annotation { landmarks: None, ..face() }, &near, 0.5), ComparedFace::Skipped);
        assert_eq!(compare(&Annotation { ignore: true, ..face() }, &near, 0.5), ComparedFace::Skipped);
        assert_eq!(compare(&Annotation { landmarks: Some([Vec2::ONE; 5]), ..face() }, &near, 0.5), ComparedFace::Skipped);
    }

    #[test]
    fn figures_over_faces() {
        let score =
            score(&[ComparedFace::Yes([0.05; 5]), ComparedFace::Yes([0.0, 0.0, 0.25, 0.5, 0.0]), ComparedFace::No, ComparedFace::Skipped]);
        assert_eq!((score.faces, score.misses, score.skipped), (3, 1, 1));
        assert!((score.mean - 0.1).abs() < 1e-15 && (score.median - 0.1).abs() < 1e-15);
        assert!((score.standard_error - 0.05).abs() < 1e-15, "{}", score.standard_error);
        assert_eq!(score.by_landmark[2], 0.15);
        assert_eq!(score.failures, 2.0 / 3.0);
        assert_eq!(score.curve().last(), Some(&[score.errors[1], 2.0 / 3.0]));
    }

    #[test]
    fn no_face_is_no_figure() {
        let score = score(&[]);
        assert!(score.mean.is_nan() && score.median.is_nan() && score.failures.is_nan());
        assert_eq!(score.curve(), [[0.0, 0.0]]);
    }
}
