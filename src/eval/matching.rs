//! Which detection is which face.

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::geometry::BoundingBox;

/// Intersection over union of boxes by their edges. `extra` is added to every width and height: 1 for boxes that are thought of as first and
/// last pixel, 0 otherwise. 0 where nothing is shared.
pub fn iou(a: &BoundingBox, b: &BoundingBox, extra: f64) -> f64 {
    let side = |low: f32, high: f32| f64::from(high) - f64::from(low) + extra;
    let area = |b: &BoundingBox| side(b.x1, b.x2) * side(b.y1, b.y2);
    let (width, height) = (side(a.x1.max(b.x1), a.x2.min(b.x2)), side(a.y1.max(b.y1), a.y2.min(b.y2)));
    if !(width > 0.0 && height > 0.0) {
        return 0.0;
    }
    width * height / (area(a) + area(b) - width * height)
}

/// A face to be found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// Where it is.
    pub bounding_box: BoundingBox,
    /// Whether finding it counts neither for nor against.
    pub ignore: bool,
}

/// What became of a detection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchVerdict {
    /// It is the first of this face, by index.
    Right(usize),
    /// It is no face, or one that was found already.
    Wrong,
    /// It is a face to be ignored.
    Ignored,
}

/// Matches detections, best first, each to the face of highest overlap of at least `at_least` that no better detection has; if there is none, to
/// a face to be ignored, of which any number may be found. Of equal overlaps the first face counts. These are COCO's rules.
pub fn greedy(detections: &[BoundingBox], faces: &[Truth], at_least: f64) -> Vec<MatchVerdict> {
    let mut free = vec![true; faces.len()];
    let judge = |found: &BoundingBox| {
        let mut best: Option<(usize, f64)> = None;
        let mut ignored = false;
        for (index, face) in faces.iter().enumerate().filter(|(index, _)| free[*index]) {
            let overlap = iou(found, &face.bounding_box, 0.0);
            if overlap < at_least {
                continue;
            }
            if face.ignore {
                ignored = true;
            } else if best.is_none_or(|(_, least)| overlap > least) {
                best = Some((index, overlap));
            }
        }
        match best {
            Some((index, _)) => {
                free[index] = false;
                MatchVerdict::Right(index)
            }
            None if ignored => MatchVerdict::Ignored,
            None => MatchVerdict::Wrong,
        }
    };
    detections.iter().map(judge).collect()
}

/// The one-to-one assignment of rows to columns with the greatest sum of `weights` (rows of equal length, values in `[0, 1]`), by the Hungarian
/// method. Pairs of weight 0 are no pairs.
pub fn assign(weights: &[Vec<f64>]) -> Vec<(usize, usize)> {
    /// The library compares whole numbers only; a billionth is far below what one pixel makes.
    const SCALE: f64 = 1e9;
    let columns = weights.first().map_or(0, Vec::len);
    if weights.is_empty() || columns == 0 {
        return Vec::new();
    }
    let whole = |row: usize, column: usize| (weights[row].get(column).copied().unwrap_or(0.0) * SCALE).round() as i64;
    // It also wants no fewer columns than rows.
    let turned = weights.len() > columns;
    let matrix = if turned {
        Matrix::from_fn(columns, weights.len(), |(row, column)| whole(column, row))
    } else {
        Matrix::from_fn(weights.len(), columns, |(row, column)| whole(row, column))
    };
    let (_, chosen) = kuhn_munkres(&matrix);
    let mut pairs: Vec<(usize, usize)> =
        chosen.into_iter().enumerate().map(|(row, column)| if turned { (column, row) } else { (row, column) }).collect();
    pairs.retain(|&(row, column)| weights[row][column] > 0.0);
    pairs.sort_unstable();
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32, y: f32, side: f32) -> BoundingBox {
        BoundingBox { x1: x, y1: y, x2: x + side, y2: y + side }
    }

    #[test]
    fn overlap_with_and_without_the_extra_pixel() {
        let (a, b) = (square(0.0, 0.0, 9.0), square(5.0, 0.0, 9.0));
        assert_eq!(iou(&a, &b, 1.0), 50.0 / 150.0);
        assert_eq!(iou(&a, &b, 0.0), 36.0 / 126.0);
        assert_eq!(iou(&a, &square(9.0, 0.0, 9.0), 0.0), 0.0);
        assert_eq!(iou(&a, &square(40.0, 40.0, 9.0), 1.0), 0.0);
    }

    #[test]
    fn the_best_free_face_is_taken_and_ignored_ones_come_last() {
        let face = |x| Truth { bounding_box: square(x, 0.0, 10.0), ignore: false };
        let faces = [face(0.0), face(2.0), Truth { ignore: true, ..face(50.0) }, Truth { ignore: true, ..face(0.5) }];
        let found =
            [square(1.8, 0.0, 10.0), square(2.0, 0.0, 10.0), square(0.0, 0.0, 10.0), square(50.0, 1.0, 10.0), square(50.0, 0.0, 10.0)];
        assert_eq!(
            greedy(&found, &faces, 0.5),
            [MatchVerdict::Right(1), MatchVerdict::Right(0), MatchVerdict::Ignored, MatchVerdict::Ignored, MatchVerdict::Ignored]
        );
        assert_eq!(greedy(&found[..1], &faces[..1], 0.8), [MatchVerdict::Wrong]);
        assert_eq!(greedy(&[], &faces, 0.5), []);
    }

    #[test]
    fn the_assignment_is_the_best_whole() {
        // Greedy would take 0.9 and be left with nothing.
        assert_eq!(assign(&[vec![0.9, 0.8], vec![0.7, 0.0]]), [(0, 1), (1, 0)]);
        assert_eq!(assign(&[vec![0.2], vec![0.9], vec![0.3]]), [(1, 0)]);
        assert_eq!(assign(&[vec![0.0, 0.0]]), []);
        assert_eq!(assign(&[]), []);
        assert_eq!(assign(&[vec![], vec![]]), []);
    }
}
