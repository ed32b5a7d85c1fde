//! WIDER FACE's average precision (spec section 7.1).

use rayon::prelude::*;

use super::curve::average_precision;
use super::matching::iou;
use crate::data::Detection;
use crate::geometry::BoundingBox;

/// One image.
#[derive(Debug, Clone, Copy)]
pub struct WiderCase<'a> {
    /// All its faces, also those that do not count.
    pub faces: &'a [BoundingBox],
    /// Whether each face counts in the setting; finding one that does not is neither right nor wrong.
    pub counted: &'a [bool],
    /// What was found, best first.
    pub detections: &'a [Detection],
}

/// How detections and faces are matched.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// Least overlap of a face found. The protocol has 0.5.
    pub iou: f64,
    /// Overlaps are rounded to 0 or 1 before the greatest is chosen, as in the official MATLAB program, whose boxes are integers: the *first* face
    /// with an overlap of a half or more wins then, not the best.
    pub rounded: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { iou: 0.5, rounded: false }
    }
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct WiderScore {
    /// How many faces count.
    pub faces: usize,
    /// Area under the curve.
    pub average_precision: f64,
    /// `[recall, precision]` at each of the thousand thresholds.
    pub curve: Vec<[f64; 2]>,
}

/// Thresholds of the curve: `1 - t / 1000` for `t` from 1.
const THRESHOLDS: usize = 1000;

/// Least and greatest score of all detections, which are stretched to `[0, 1]`; `None` if there are none.
pub fn score_range<'a>(detections: impl IntoIterator<Item = &'a [Detection]>) -> Option<[f64; 2]> {
    let scores = detections.into_iter().flatten().map(|detection| detection.score);
    scores.fold(None, |range, score| {
        let [low, high] = range.unwrap_or([score; 2]);
        Some([low.min(score), high.max(score)])
    })
}

/// What became of an image's detections, best first.
struct JudgedImage {
    /// Whether each counts as a proposal: not if it is the match of a face that does not count.
    proposal: Vec<bool>,
    /// Faces that count found up to and with each.
    found: Vec<usize>,
}

fn judge(image: &WiderCase, rules: Rules) -> JudgedImage {
    let mut taken = vec![false; image.faces.len()];
    let mut judged =
        JudgedImage { proposal: Vec::with_capacity(image.detections.len()), found: Vec::with_capacity(image.detections.len()) };
    let mut found = 0;
    for detection in image.detections {
        let mut best = (0, -1.0);
        for (index, face) in image.faces.iter().enumerate() {
            let overlap = iou(&detection.bounding_box, face, 1.0);
            let overlap = if rules.rounded { overlap.round() } else { overlap };
            if overlap > best.1 {
                best = (index, overlap);
            }
        }
        let (face, overlap) = best;
        let mut proposal = true;
        if overlap >= rules.iou {
            if !image.counted[face] {
                proposal = false;
            } else if !taken[face] {
                taken[face] = true;
                found += 1;
            }
        }
        judged.proposal.push(proposal);
        judged.found.push(found);
    }
    judged
}

/// Scores `images`. `range` is that of the scores of the whole set, by [`score_range`].
pub fn score(images: &[WiderCase], range: Option<[f64; 2]>, rules: Rules) -> WiderScore {
    let [low, high] = range.unwrap_or([0.0, 1.0]);
    let normal = |score: f64| if high > low { (score - low) / (high - low) } else { 1.0 };
    let add = |mut sums: Vec<[usize; 2]>, image: &WiderCase| {
        if image.detections.is_empty() || image.faces.is_empty() {
            return sums;
        }
        let judged = judge(image, rules);
        let (mut passed, mut proposals) = (0, 0);
        for (t, sum) in sums.iter_mut().enumerate() {
            let threshold = 1.0 - (t + 1) as f64 / THRESHOLDS as f64;
            while image.detections.get(passed).is_some_and(|detection| normal(detection.score) >= threshold) {
                proposals += usize::from(judged.proposal[passed]);
                passed += 1;
            }
            if let Some(last) = passed.checked_sub(1) {
                sum[0] += proposals;
                sum[1] += judged.found[last];
            }
        }
        sums
    };
    let none = || vec![[0usize; 2]; THRESHOLDS];
    let both = |mut a: Vec<[usize; 2]>, b: Vec<[usize; 2]>| {
        a.iter_mut().zip(b).for_each(|(a, b)| *a = [a[0] + b[0], a[1] + b[1]]);
        a
    };
    let sums = images.par_iter().fold(none, add).reduce(none, both);
    let faces = images.iter().flat_map(|image| image.counted).filter(|&&counted| counted).count();
    let ratio = |part: usize, whole: usize| if whole > 0 { part as f64 / whole as f64 } else { 0.0 };
    let curve: Vec<[f64; 2]> = sums.into_iter().map(|[proposals, found]| [ratio(found, faces), ratio(found, proposals)]).collect();
    WiderScore { faces, average_precision: average_precision(&curve), curve }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(x: f32) -> BoundingBox {
        BoundingBox { x1: x, y1: 0.0, x2: x + 20.0, y2: 20.0 }
    }

    fn found(x: f32, score: f64) -> Detection {
        Detection { bounding_box: area(x), score, landmarks: None }
    }

    #[test]
    fn ignored_faces_are_neither_right_nor_wrong_and_a_second_detection_is_wrong() {
        let (faces, counted) = ([area(0.0), area(100.0)], [true, false]);
        let detections = [found(0.0, 0.9), found(1.0, 0.8), found(100.0, 0.7), found(300.0, 0.0)];
        let image = WiderCase { faces: &faces, counted: &counted, detections: &detections };
        let score = score(&[image], score_range([&detections[..]]), Rules::default());
        assert_eq!(score.faces, 1);
        assert_eq!(score.average_precision, 1.0);
        // 0.8 / 0.9 is reached at t = 112, 0 never: the threshold ends at 0, which a score of 0 does reach.
        assert_eq!(
            [score.curve[0], score.curve[111], score.curve[998], score.curve[999]],
            [[1.0, 1.0], [1.0, 0.5], [1.0, 0.5], [1.0, 1.0 / 3.0]]
        );
    }

    #[test]
    fn rounded_overlaps_give_the_first_face_and_not_the_best() {
        let (faces, counted) = ([area(0.0), area(4.0)], [true, true]);
        let detections = [found(4.0, 1.0), found(3.0, 0.5)];
        let image = WiderCase { faces: &faces, counted: &counted, detections: &detections };
        let recall = |rounded| score(&[image], Some([0.0, 1.0]), Rules { rounded, ..Rules::default() }).curve[999][0];
        // By best overlap both detections are of the second face; rounded, both are of the first.
        assert_eq!((recall(false), recall(true)), (0.5, 0.5));
        let detections = [found(4.0, 1.0), found(0.0, 0.5)];
        let image = WiderCase { detections: &detections, ..image };
        let recall = |rounded| score(&[image], Some([0.0, 1.0]), Rules { rounded, ..Rules::default() }).curve[999][0];
        assert_eq!((recall(false), recall(true)), (1.0, 0.5));
    }

    #[test]
    fn nothing_found_and_nothing_there() {
        let (faces, counted) = ([area(0.0)], [true]);
        let blind = WiderCase { faces: &faces, counted: &counted, detections: &[] };
        assert_eq!(score(&[blind], None, Rules::default()).average_precision, 0.0);
        assert_eq!(score(&[], None, Rules::default()).faces, 0);
        let one = [found(0.0, 0.3)];
        let image = WiderCase { detections: &one, ..blind };
        assert_eq!(score(&[image], score_range([&one[..]]), Rules::default()).average_precision, 1.0);
    }
}
