//! Average precision of boxes on any set of annotated images, in whole and by size and occlusion of the faces.
//!
//! Detections are matched by [`greedy`], equal scores make one point of the curve, and the area is that of [`average_precision`]
//! under all its points.

use rayon::prelude::*;

use super::curve::{CurveTally, average_precision, precision_recall, tallies};
use super::matching::{MatchVerdict, Truth, greedy};
use crate::data::{Annotation, Detection};
use crate::geometry::BoundingBox;

/// One image with what is in it and what was found.
#[derive(Debug, Clone, Copy)]
pub struct BoxesCase<'a> {
    /// What is in it.
    pub faces: &'a [Annotation],
    /// What was found, best first.
    pub detections: &'a [Detection],
}

/// The faces that are asked for; others count neither for nor against.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum FacePart {
    /// All that are not flagged.
    #[default]
    All,
    /// Those whose box is at least so many and less than so many px high. A wrong detection of another height is passed over too.
    Height(f64, f64),
    /// Those of one degree of occlusion. All wrong detections count, since a detection has no such degree.
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

    /// Whether a detection that is no face counts against the detector.
    fn fits(self, found: &BoundingBox) -> bool {
        match self {
            Self::Height(from, to) => (from..to).contains(&f64::from(found.height())),
            _ => true,
        }
    }
}

/// Faces that were asked for, and what a detector made of them.
#[derive(Debug, Clone, PartialEq)]
pub struct BoxesScore {
    /// How many faces were asked for.
    pub faces: usize,
    /// After each distinct score, from the highest down.
    pub tallies: Vec<CurveTally>,
}

impl BoxesScore {
    /// Area under the precision-recall curve; not a number without faces.
    pub fn average_precision(&self) -> f64 {
        if self.faces == 0 { f64::NAN } else { average_precision(&precision_recall(&self.tallies, self.faces)) }
    }
}

/// What became of each detection, by image.
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

/// Scores `images` at overlaps of `at_least`.
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

/// Overlaps from 0.5 to 0.95 in steps of 0.05, over which COCO takes the mean of the average precisions.
pub const COCO_IOUS: [f64; 10] = [0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95];

/// Mean of the average precisions over [`COCO_IOUS`].
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
