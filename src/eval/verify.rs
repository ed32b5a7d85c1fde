//! Are two images of one person? Ten-fold accuracy, and true accepts at a rate of false ones (section 13.1 of the recognition reference).

use rayon::prelude::*;

use super::curve::{CurveTally, tallies};

/// A pair of images by what an embedding says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// [`distance`] of the two embeddings.
    pub distance: f64,
    /// Whether they show one person.
    pub same: bool,
    /// The fold it is tested in.
    pub fold: usize,
}

/// One fold, tested with what the others taught.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fold {
    /// Below it two images are called one person: the first of the grid with the greatest accuracy on the other folds.
    pub threshold: f64,
    /// Share of this fold's pairs that are called right.
    pub accuracy: f64,
}

/// Accuracy over folds.
#[derive(Debug, Clone, PartialEq)]
pub struct Accuracy {
    /// By fold.
    pub folds: Vec<Fold>,
    /// Mean of the folds' accuracies; not a number without folds.
    pub mean: f64,
    /// Their standard deviation, of the folds as the whole population as numpy has it.
    pub deviation: f64,
}

/// True accepts where the other folds have a given rate of false ones; means over folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Accepts {
    /// The rate of false accepts asked for.
    pub far: f64,
    /// Share of the pairs of one person that are accepted.
    pub tar: f64,
    /// Its standard deviation over folds.
    pub deviation: f64,
    /// Share of the pairs of two persons that were accepted in truth.
    pub measured_far: f64,
}

/// Thresholds of the accuracy: hundredths below 4, the greatest distance of two embeddings of length 1.
const COARSE: (usize, f64) = (400, 0.01);
/// Thresholds of the rate of false accepts.
const FINE: (usize, f64) = (4000, 0.001);

/// `|a - b|²` of two embeddings of length 1, in `[0, 4]`.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// Distances of one kind of pairs, rising, so that those below a threshold are counted by halving.
#[derive(Debug, Clone, Default)]
struct Distances(Vec<f64>);

impl Distances {
    fn new(pairs: &[Compared], wanted: impl Fn(&Compared) -> bool) -> Self {
        let mut distances: Vec<f64> = pairs.iter().filter(|pair| wanted(pair)).map(|pair| pair.distance).collect();
        distances.sort_by(f64::total_cmp);
        Self(distances)
    }

    fn below(&self, threshold: f64) -> usize {
        self.0.partition_point(|&distance| distance < threshold)
    }

    /// Share below; not a number of none.
    fn share(&self, threshold: f64) -> f64 {
        self.below(threshold) as f64 / self.0.len() as f64
    }
}

/// The pairs of one person and of two: of a fold, and of all others.
struct Split {
    test: [Distances; 2],
    train: [Distances; 2],
}

/// A split for each fold that has pairs.
fn splits(pairs: &[Compared]) -> Vec<Split> {
    let folds: std::collections::BTreeSet<usize> = pairs.iter().map(|pair| pair.fold).collect();
    let split = |&fold: &usize| Split {
        test: [true, false].map(|same| Distances::new(pairs, |pair| pair.fold == fold && pair.same == same)),
        train: [true, false].map(|same| Distances::new(pairs, |pair| pair.fold != fold && pair.same == same)),
    };
    folds.iter().collect::<Vec<_>>().into_par_iter().map(split).collect()
}

fn right([same, other]: &[Distances; 2], threshold: f64) -> usize {
    same.below(threshold) + other.0.len() - other.below(threshold)
}

/// Accuracy by folds: the threshold of each is the best on all others, the first of equal ones.
pub fn accuracy(pairs: &[Compared]) -> Accuracy {
    let fold = |Split { test, train }: &Split| {
        let (mut threshold, mut most) = (0.0, right(train, 0.0));
        for candidate in (1..COARSE.0).map(|step| step as f64 * COARSE.1) {
            let count = right(train, candidate);
            if count > most {
                (threshold, most) = (candidate, count);
            }
        }
        Fold { threshold, accuracy: right(test, threshold) as f64 / (test[0].0.len() + test[1].0.len()) as f64 }
    };
    let folds: Vec<Fold> = splits(pairs).iter().map(fold).collect();
    let (mean, deviation) = spread(folds.iter().map(|fold| fold.accuracy));
    Accuracy { folds, mean, deviation }
}

/// True accepts at a rate of false ones. Each fold's threshold is interpolated on all others between the last threshold of a lower rate and
/// the first of `far` or more; if they never have as many, nothing is accepted. A fold without pairs of both kinds makes the mean no number.
pub fn accepts(pairs: &[Compared], far: f64) -> Accepts {
    let rates = |Split { test, train }: &Split| {
        let rate = |step: usize| train[1].share(step as f64 * FINE.1);
        let reached = (1..FINE.0).find(|&step| rate(step) >= far);
        let threshold = reached.map_or(0.0, |after| {
            let (low, high) = (rate(after - 1), rate(after));
            ((after - 1) as f64 + (far - low) / (high - low)) * FINE.1
        });
        [test[0].share(threshold), test[1].share(threshold)]
    };
    let rates: Vec<[f64; 2]> = splits(pairs).iter().map(rates).collect();
    let (tar, deviation) = spread(rates.iter().map(|rate| rate[0]));
    let (measured_far, _) = spread(rates.iter().map(|rate| rate[1]));
    Accepts { far, tar, deviation, measured_far }
}

/// Mean and standard deviation.
fn spread(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    (mean, (values.map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
}

/// The ROC curve over all pairs, without folds: `[false accept rate, true accept rate]` from (0, 0) to (1, 1), and the area under it.
pub fn roc(pairs: &[Compared]) -> (Vec<[f64; 2]>, f64) {
    let count = |wanted: bool| pairs.iter().filter(|pair| pair.same == wanted).count() as f64;
    let (same, other) = (count(true), count(false));
    let place = |tally: &CurveTally| [tally.wrong as f64 / other, tally.found as f64 / same];
    let steps = tallies(pairs.iter().map(|pair| (-pair.distance, pair.same)));
    let curve: Vec<[f64; 2]> = std::iter::once([0.0; 2]).chain(steps.iter().map(place)).collect();
    let area = curve.windows(2).map(|two| (two[1][0] - two[0][0]) * (two[0][1] + two[1][1]) / 2.0).sum();
    (curve, area)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: &[(f64, bool, usize)]) -> Vec<Compared> {
        of.iter().map(|&(distance, same, fold)| Compared { distance, same, fold }).collect()
    }

    #[test]
    fn the_other_folds_choose_the_threshold() {
        // Fold 1 teaches fold 0 that the first grid point over 1.0 parts best; fold 0 teaches fold 1 the first over 0.5.
        let pairs = pairs(&[(0.5, true, 0), (1.5, false, 0), (1.0, true, 1), (2.0, false, 1)]);
        let accuracy = accuracy(&pairs);
        let thresholds: Vec<f64> = accuracy.folds.iter().map(|fold| fold.threshold).collect();
        assert_eq!(thresholds, [101.0 * 0.01, 51.0 * 0.01]);
        assert_eq!(accuracy.folds.iter().map(|fold| fold.accuracy).collect::<Vec<_>>(), [1.0, 0.5]);
        assert_eq!((accuracy.mean, accuracy.deviation), (0.75, 0.25));
    }

    #[test]
    fn accepts_are_interpolated_between_thresholds() {
        // The one false distance of the other fold is below 0.401 and not below 0.4: half a rate is half way.
        let pairs = pairs(&[(0.4004, true, 0), (0.4, false, 0), (0.4006, true, 1), (0.4, false, 1)]);
        let found = accepts(&pairs, 0.5);
        assert_eq!((found.tar, found.measured_far, found.deviation), (0.5, 1.0, 0.5));
        assert_eq!(accepts(&pairs, 1.5).tar, 0.0);
    }

    #[test]
    fn a_kind_that_is_missing_is_no_figure() {
        assert!(accuracy(&[]).mean.is_nan());
        assert!(accepts(&pairs(&[(0.1, true, 0), (0.2, true, 1)]), 0.1).measured_far.is_nan());
    }

    #[test]
    fn the_curve_and_its_area() {
        let (curve, area) = roc(&pairs(&[(0.1, true, 0), (0.2, false, 0), (0.3, true, 0), (0.4, false, 0)]));
        assert_eq!(curve, [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]);
        assert_eq!(area, 0.75);
    }
}
