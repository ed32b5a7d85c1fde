//! Curves and the areas under them.

/// Area under the monotone envelope of a precision-recall curve (spec section 7.1, step 6): recall 0 and 1 are added with precision 0, precision is
/// made the greatest of its right, and every step of recall counts with it.
///
/// `points` are `[recall, precision]` by rising recall; a precision that is not a number (of no proposals) counts as 0.
pub fn average_precision(points: &[[f64; 2]]) -> f64 {
    let mut area = 0.0;
    let mut envelope = 0.0f64;
    for (index, &[recall, precision]) in points.iter().enumerate().rev() {
        envelope = envelope.max(precision); // `max` passes over NaN
        let before = index.checked_sub(1).map_or(0.0, |before| points[before][0]);
        area += (recall - before) * envelope;
    }
    area
}

/// A curve of a detector over all its scores: after each distinct score, from the highest down, what is found and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveTally {
    /// Detections with at least this score are counted.
    pub threshold: f64,
    /// Faces found.
    pub found: usize,
    /// Detections that are no face, or a face found already.
    pub wrong: usize,
}

/// Tallies of `(score, right)` in any order, one per distinct score.
pub fn tallies(outcomes: impl IntoIterator<Item = (f64, bool)>) -> Vec<CurveTally> {
    let mut outcomes: Vec<(f64, bool)> = outcomes.into_iter().collect();
    outcomes.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut tallies: Vec<CurveTally> = Vec::new();
    let (mut found, mut wrong) = (0, 0);
    for (threshold, right) in outcomes {
        if right {
            found += 1;
        } else {
            wrong += 1;
        }
        match tallies.last_mut() {
            Some(last) if last.threshold == threshold => *last = CurveTally { threshold, found, wrong },
            _ => tallies.push(CurveTally { threshold, found, wrong }),
        }
    }
    tallies
}

/// `[recall, precision]` of `tallies`, of `faces` in all.
pub fn precision_recall(tallies: &[CurveTally], faces: usize) -> Vec<[f64; 2]> {
    let point = |tally: &CurveTally| {
        let found = tally.found as f64;
        [found / faces.max(1) as f64, found / (tally.found + tally.wrong) as f64]
    };
    tallies.iter().map(point).collect()
}

/// Share of `faces` found before there are more than `wrong` false positives.
pub fn recall_at(tallies: &[CurveTally], wrong: usize, faces: usize) -> f64 {
    let found = tallies.iter().take_while(|tally| tally.wrong <= wrong).map(|tally| tally.found).last().unwrap_or(0);
    found as f64 / faces.max(1) as f64
}

/// `points` thinned for a picture: those that differ from the last kept one by `step` in `x` or `y`, and the ends.
pub fn thinned(points: &[[f64; 2]], step: [f64; 2]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for &point in points {
        if kept.last().is_none_or(|last| (0..2).any(|axis| (point[axis] - last[axis]).abs() >= step[axis])) {
            kept.push(point);
        }
    }
    if let Some(&end) = points.last()
        && kept.last() != Some(&end)
    {
        kept.push(end);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_fills_dips() {
        assert_eq!(average_precision(&[]), 0.0);
        assert_eq!(average_precision(&[[0.5, 1.0]]), 0.5);
        // The dip to 0.5 is filled by the 0.75 at its right.
        assert_eq!(average_precision(&[[0.25, 1.0], [0.5, 0.5], [0.75, 0.75]]), 0.25 + 0.5 * 0.75);
        assert_eq!(average_precision(&[[0.0, f64::NAN], [1.0, 1.0]]), 1.0);
    }

    #[test]
    fn equal_scores_are_one_point_whatever_their_order() {
        let forward = tallies([(0.9, true), (0.5, true), (0.5, false), (0.1, false)]);
        let backward = tallies([(0.1, false), (0.5, false), (0.5, true), (0.9, true)]);
        assert_eq!(forward, backward);
        assert_eq!(forward[1], CurveTally { threshold: 0.5, found: 2, wrong: 1 });
        assert_eq!([0, 1, 2].map(|wrong| recall_at(&forward, wrong, 4)), [0.25, 0.5, 0.5]);
        assert_eq!(precision_recall(&forward, 4), [[0.25, 1.0], [0.5, 2.0 / 3.0], [0.5, 0.5]]);
    }

    #[test]
    fn thinning_keeps_the_ends() {
        let line: Vec<[f64; 2]> = (0..=1000).map(|i| [f64::from(i), 0.0]).collect();
        let kept = thinned(&line, [300.0, 1.0]);
        assert_eq!(kept, [[0.0, 0.0], [300.0, 0.0], [600.0, 0.0], [900.0, 0.0], [1000.0, 0.0]]);
    }
}
