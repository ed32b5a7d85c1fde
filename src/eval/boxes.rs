//! Average precision of boxes on any set of annotated images, over all faces and by size and occlusion.
//!
//! Detections are matched by [`greedy`], detections of equal score make one point of the curve, and the area
//! is that of [`average_precision`] over all points.

use rayon::prelude::*;

use super::curve::{CurveTally, average_precision, precision_recall, tallies};
use super::matching::{MatchVerdict, Truth, greedy};
use crate::data::{Annotation, Detection};
use crate::geometry::BoundingBox;

/// One image with its annotations and detections.
#[derive(Debug, Clone, Copy)]
pub struct BoxesCase<'a> {
    /// Annotated faces.
    pub faces: &'a [Annotation],
    /// Detections, best first.
    pub detections: &'a [Detection],
}

/// Subset of faces to evaluate; other faces count neither for nor against the detector.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FacePart {
    /// All faces that are not flagged.
    #[default]
    All,
    /// Faces whose box height in px is at least the first and less than the second bound. Wrong detections
    /// outside these heights are ignored too.
    Height(f64, f64),
    /// Faces of one degree of occlusion. All wrong detections count, since detections have no degree of
    /// occlusion.
    Occlusion(u8),
}

impl FacePart {
    fn wants(self, face: &Annotation) -> bool {
        !face.ignore
            && match self {
                Self::All => true,
                Self::Height(..) => self.fits(&face.bounding_box),
                Self::Occlusion(degree) => face.attributes.occlusion == degree,
            }
    }

    /// Returns whether a wrong detection with this box counts against the detector.
    fn fits(self, found: &BoundingBox) -> bool {
        match self {
            Self::Height(from, to) => (from..to).contains(&f64::from(found.height())),
            _ => true,
        }
    }
}

/// Result of the evaluation of a subset of faces.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxesScore {
    /// Number of faces in the subset.
    pub faces: usize,
    /// Tallies after each distinct score, in descending order of the score.
    pub tallies: Vec<CurveTally>,
}

impl BoxesScore {
    /// Returns the area under the precision-recall curve; NaN without faces.
    pub fn average_precision(&self) -> f64 {
        if self.faces == 0 { f64::NAN } else { average_precision(&precision_recall(&self.tallies, self.faces)) }
    }
}

/// Returns the verdict on each detection, by image.
pub fn verdicts(images: &[BoxesCase], part: FacePart, at_least: f64) -> Vec<Vec<MatchVerdict>> {
    let judge = |image: &BoxesCase| {
        let faces: Vec<Truth> =
            image.faces.iter().map(|face| Truth { bounding_box: face.bounding_box, ignore: !part.wants(face) }).collect();
        let found: Vec<BoundingBox> = image.detections.iter().map(|detection| detection.bounding_box).collect();
        let mut verdicts = greedy(&found, &faces, at_least);
        for (verdict, found) in verdicts.iter_mut().zip(&found) {
            if *verdict == MatchVerdict::Wrong && !part.fits(found) {
                *verdict = MatchVerdict::Ignored;
            }
        }
        verdicts
    };
    images.par_iter().map(judge).collect()
}

/// Evaluates `images` with a minimum overlap of `at_least`.
pub fn score(images: &[BoxesCase], part: FacePart, at_least: f64) -> BoxesScore {
    let verdicts = verdicts(images, part, at_least);
    let outcomes = images.iter().zip(&verdicts).flat_map(|(image, verdicts)| {
        image.detections.iter().zip(verdicts).filter_map(|(detection, verdict)| match verdict {
            MatchVerdict::Right(_) => Some((detection.score, true)),
            MatchVerdict::Wrong => Some((detection.score, false)),
            MatchVerdict::Ignored => None,
        })
    });
    let faces = images.iter().flat_map(|image| image.faces).filter(|face| part.wants(face)).count();
    BoxesScore { faces, tallies: tallies(outcomes) }
}

/// Minimum overlaps from 0.5 to 0.95 in steps of 0.05; COCO averages the average precision over them.
pub const COCO_IOUS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

/// Returns the mean of the average precisions over [`COCO_IOUS`].
pub fn coco_average_precision(images: &[BoxesCase], part: FacePart) -> f64 {
    COCO_IOUS.iter().map(|&iou| score(images, part, iou).average_precision()).sum::<f64>() / COCO_IOUS.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::curve::recall_at;

    fn area(x: f32, side: f32) -> BoundingBox {
        BoundingBox { x1: x, y1: 0.0, x2: x + side, y2: side }
    }

    fn found(x: f32, side: f32, score: f64) -> Detection {
        Detection { bounding_box: area(x, side), score, landmarks: None }
    }

    #[test]
    fn a_perfect_detector_has_1_and_a_blind_one_0() {
        let faces = [Annotation::new(area(0.0, 10.0)), Annotation::new(area(50.0, 40.0))];
        let detections = [found(0.0, 10.0, 0.9), found(50.0, 40.0, 0.8)];
        let perfect = [BoxesCase { faces: &faces, detections: &detections }];
        assert_eq!(score(&perfect, FacePart::All, 0.5).average_precision(), 1.0);
        assert_eq!(coco_average_precision(&perfect, FacePart::All), 1.0);
        let blind = [BoxesCase { faces: &faces, detections: &[] }];
        assert_eq!(score(&blind, FacePart::All, 0.5).average_precision(), 0.0);
        assert!(score(&[], FacePart::All, 0.5).average_precision().is_nan());
    }

    #[test]
    fn a_part_neither_gains_nor_loses_by_the_rest() {
        let mut faces = [Annotation::new(area(0.0, 10.0)), Annotation::new(area(50.0, 40.0)), Annotation::new(area(200.0, 40.0))];
        faces[2].attributes.occlusion = 2;
        let detections = [found(300.0, 10.0, 0.95), found(300.0, 50.0, 0.94), found(50.0, 40.0, 0.9), found(0.0, 10.0, 0.8)];
        let images = [BoxesCase { faces: &faces, detections: &detections }];
        let tall = score(&images, FacePart::Height(32.0, 96.0), 0.5);
        assert_eq!(tall.faces, 2);
        assert_eq!(tall.tallies.iter().map(|t| (t.found, t.wrong)).collect::<Vec<_>>(), [(0, 1), (1, 1)]);
        assert_eq!(tall.average_precision(), 0.25);
        let hidden = score(&images, FacePart::Occlusion(2), 0.5);
        assert_eq!((hidden.faces, hidden.tallies.last().map(|t| (t.found, t.wrong))), (1, Some((0, 2))));
        assert_eq!(recall_at(&score(&images, FacePart::All, 0.5).tallies, 1, 3), 0.0);
        assert_eq!(recall_at(&score(&images, FacePart::All, 0.5).tallies, 2, 3), 2.0 / 3.0);
    }
}
