//! FDDB's discrete and continuous ROC over all its images (spec section 7.2).
//!
//! Regions are sets of pixels. A rectangle and an ellipse meet every row of pixels in one run, so a region is kept as its runs and an overlap is
//! counted exactly, row by row, without drawing anything.

use std::collections::HashMap;

use rayon::prelude::*;

use super::matching::assign;
use crate::data::fddb::{Ellipse, Region, RocPoint, ScoredRegion};

/// One image.
#[derive(Debug, Clone, PartialEq)]
pub struct FddbCase {
    /// Columns and rows, px, beyond which regions are cut off; `None` where that is not known, and nothing is cut.
    pub size: Option<[u32; 2]>,
    /// What is in it.
    pub faces: Vec<Ellipse>,
    /// What was found, in any order.
    pub detections: Vec<ScoredRegion>,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct FddbScore {
    /// How many faces there are.
    pub faces: usize,
    /// A face counts 1 if it overlaps its detection by more than half.
    pub discrete: Vec<RocPoint>,
    /// A face counts as much as it overlaps its detection.
    pub continuous: Vec<RocPoint>,
    /// Detections without a pixel inside their image, which do not count.
    pub outside: usize,
}

/// Overlap above which a detection is right.
const DISCRETE: f64 = 0.5;

/// The pixels of a region: in each row from `top` on, the columns from the first to before the second.
#[derive(Debug, Clone, PartialEq)]
struct Pixels {
    top: i64,
    runs: Vec<[i64; 2]>,
}

/// Beyond this no coordinate is meant: keeps rows countable for any input.
const FAR: f64 = 20_000.0;

impl Pixels {
    fn new(region: &Region, size: Option<[u32; 2]>) -> Self {
        let whole = match region {
            Region::Rectangle(b) => {
                let [left, top, right, bottom] = [b.x1, b.y1, b.x2, b.y2].map(|edge| f64::from(edge).clamp(-FAR, FAR).round() as i64);
                Self { top, runs: vec![[left, right + 1]; (bottom + 1 - top).max(0) as usize] }
            }
            Region::Ellipse(ellipse) => Self::of_ellipse(ellipse),
        };
        match size {
            Some(size) => whole.cut(size),
            None => whole,
        }
    }

    /// Pixels whose place `(u, v)` in the ellipse's own axes, from its rounded centre, has `(u / a)² + (v / b)² <= 1`, with radii cut to whole
    /// numbers.
    fn of_ellipse(ellipse: &Ellipse) -> Self {
        let [a, b] = [ellipse.major_radius, ellipse.minor_radius].map(|radius| radius.trunc().clamp(1.0, FAR));
        let [x, y] = [ellipse.x, ellipse.y].map(|centre| centre.clamp(-FAR, FAR).round() as i64);
        let (sin, cos) = ellipse.angle.sin_cos();
        let inside = |dx: i64, dy: i64| {
            let (dx, dy) = (dx as f64, dy as f64);
            let (u, v) = ((dx * cos + dy * sin) / a, (dy * cos - dx * sin) / b);
            u * u + v * v <= 1.0
        };
        // In a row the left side is a quadratic `p dx² + 2 q dx + r`, whose roots are the ends of the run up to a rounding.
        let p = (cos / a).powi(2) + (sin / b).powi(2);
        let reach = a.max(b).ceil() as i64 + 1;
        let mut pixels = Self { top: y, runs: Vec::new() };
        for dy in -reach..=reach {
            let height = dy as f64;
            let q = height * sin * cos * (1.0 / (a * a) - 1.0 / (b * b));
            let r = height * height * ((sin / a).powi(2) + (cos / b).powi(2)) - 1.0;
            let root = (q * q - p * r).max(0.0).sqrt();
            let [mut first, mut last] = [((-q - root) / p).floor() as i64 - 1, ((-q + root) / p).ceil() as i64 + 1];
            while first <= last && !inside(first, dy) {
                first += 1;
            }
            while first <= last && !inside(last, dy) {
                last -= 1;
            }
            if first <= last {
                if pixels.runs.is_empty() {
                    pixels.top = y + dy;
                }
                pixels.runs.push([x + first, x + last + 1]);
            }
        }
        pixels
    }

    fn cut(mut self, [width, height]: [u32; 2]) -> Self {
        let above = (-self.top).clamp(0, self.runs.len() as i64) as usize;
        self.runs.drain(..above);
        self.top += above as i64;
        self.runs.truncate((i64::from(height) - self.top).max(0) as usize);
        for [first, end] in &mut self.runs {
            *first = (*first).max(0);
            *end = (*end).min(i64::from(width)).max(*first);
        }
        self
    }

    fn count(&self) -> i64 {
        self.runs.iter().map(|[first, end]| end - first).sum()
    }

    fn shared(&self, other: &Self) -> i64 {
        let top = self.top.max(other.top);
        let rows = |pixels: &Self| pixels.runs.get((top - pixels.top) as usize..).unwrap_or_default().to_vec();
        let both = rows(self).into_iter().zip(rows(other));
        both.map(|(a, b)| (a[1].min(b[1]) - a[0].max(b[0])).max(0)).sum()
    }

    /// Intersection over union in pixels.
    fn overlap(&self, other: &Self) -> f64 {
        let shared = self.shared(other);
        let all = self.count() + other.count() - shared;
        if all > 0 { shared as f64 / all as f64 } else { 0.0 }
    }
}

/// What an image adds to the curves at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Share {
    found: f64,
    overlap: f64,
    wrong: f64,
}

/// The shares of `image` at each of its distinct scores, from the highest down, and its detections outside.
fn shares(image: &FddbCase) -> (Vec<(f64, Share)>, usize) {
    let faces: Vec<Pixels> = image.faces.iter().map(|face| Pixels::new(&Region::Ellipse(*face), image.size)).collect();
    let mut found: Vec<(f64, Vec<f64>)> = Vec::new();
    for detection in &image.detections {
        let pixels = Pixels::new(&detection.region, image.size);
        if pixels.count() > 0 {
            found.push((detection.score, faces.iter().map(|face| pixels.overlap(face)).collect()));
        }
    }
    let outside = image.detections.len() - found.len();
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut shares = Vec::new();
    let mut counted = Vec::new();
    let mut rest = found.into_iter().peekable();
    while let Some((score, overlaps)) = rest.next() {
        counted.push(overlaps);
        if rest.peek().is_some_and(|(next, _)| *next == score) {
            continue;
        }
        let pairs: Vec<f64> = assign(&counted).into_iter().map(|(detection, face)| counted[detection][face]).collect();
        let right = pairs.iter().filter(|&&overlap| overlap > DISCRETE).count() as f64;
        shares.push((score, Share { found: right, overlap: pairs.iter().sum(), wrong: counted.len() as f64 - right }));
    }
    (shares, outside)
}

/// The pairs of detection and face, by index, that overlap by more than half when all detections of `image` count.
pub fn matched(image: &FddbCase) -> Vec<(usize, usize)> {
    let faces: Vec<Pixels> = image.faces.iter().map(|face| Pixels::new(&Region::Ellipse(*face), image.size)).collect();
    let overlaps = |found: &ScoredRegion| {
        let pixels = Pixels::new(&found.region, image.size);
        faces.iter().map(|face| pixels.overlap(face)).collect()
    };
    let weights: Vec<Vec<f64>> = image.detections.iter().map(overlaps).collect();
    assign(&weights).into_iter().filter(|&(detection, face)| weights[detection][face] > DISCRETE).collect()
}

/// Scores all images together: at each threshold, every image counts with its share at its least score that is not below.
pub fn score(images: &[FddbCase]) -> FddbScore {
    let by_image: Vec<_> = images.par_iter().map(shares).collect();
    let faces = images.iter().map(|image| image.faces.len()).sum();
    let outside = by_image.iter().map(|(_, outside)| outside).sum();
    let mut steps: Vec<(f64, usize, Share)> = Vec::new();
    for (index, (shares, _)) in by_image.iter().enumerate() {
        steps.extend(shares.iter().map(|&(score, share)| (score, index, share)));
    }
    steps.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut last: HashMap<usize, Share> = HashMap::new();
    let mut sum = Share::default();
    let (mut discrete, mut continuous) = (Vec::<RocPoint>::new(), Vec::<RocPoint>::new());
    for (threshold, image, share) in steps {
        let before = last.insert(image, share).unwrap_or_default();
        sum.found += share.found - before.found;
        sum.overlap += share.overlap - before.overlap;
        sum.wrong += share.wrong - before.wrong;
        for (curve, total) in [(&mut discrete, sum.found), (&mut continuous, sum.overlap)] {
            let point = RocPoint { rate: total / (faces as f64).max(1.0), false_positives: sum.wrong, threshold };
            match curve.last_mut() {
                Some(last) if last.threshold == threshold => *last = point,
                _ => curve.push(point),
            }
        }
    }
    FddbScore { faces, discrete, continuous, outside }
}

/// The greatest rate of `curve` with at most `false_positives`; `None` if its first point has more. Of a curve that ends before it is the last
/// rate: the protocol has no detection to go on with.
pub fn rate_at(curve: &[RocPoint], false_positives: f64) -> Option<RocPoint> {
    let within = curve.iter().filter(|point| point.false_positives <= false_positives);
    within.copied().reduce(|best, point| if point.rate >= best.rate { point } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::BoundingBox;

    fn rectangle(x1: f32, y1: f32, x2: f32, y2: f32) -> Region {
        Region::Rectangle(BoundingBox { x1, y1, x2, y2 })
    }

    fn ellipse(major_radius: f64, minor_radius: f64, angle: f64, x: f64, y: f64) -> Ellipse {
        Ellipse { major_radius, minor_radius, angle, x, y }
    }

    /// Pixel by pixel, as the protocol says it.
    fn drawn(region: &Region, [width, height]: [u32; 2]) -> Vec<bool> {
        let inside = |x: i64, y: i64| match region {
            Region::Rectangle(b) => {
                let [x1, y1, x2, y2] = [b.x1, b.y1, b.x2, b.y2].map(|edge| edge.round() as i64);
                (x1..=x2).contains(&x) && (y1..=y2).contains(&y)
            }
            Region::Ellipse(e) => {
                let (dx, dy) = (x as f64 - e.x.round(), y as f64 - e.y.round());
                let (sin, cos) = e.angle.sin_cos();
                let (u, v) = ((dx * cos + dy * sin) / e.major_radius.trunc(), (dy * cos - dx * sin) / e.minor_radius.trunc());
                u * u + v * v <= 1.0
            }
        };
        (0..i64::from(height)).flat_map(|y| (0..i64::from(width)).map(move |x| (x, y))).map(|(x, y)| inside(x, y)).collect()
    }

    #[test]
    fn runs_are_what_drawing_would_give() {
        let size = [60, 50];
        let regions = [
            rectangle(-5.4, 10.2, 20.5, 200.0),
            rectangle(58.0, 48.0, 61.0, 53.0),
            rectangle(70.0, 10.0, 80.0, 20.0),
            rectangle(10.0, -30.0, 20.0, -10.0),
            Region::Ellipse(ellipse(20.9, 13.2, 1.265, 30.5, 25.4)),
            Region::Ellipse(ellipse(20.9, 7.2, -0.6, 2.0, 45.0)),
            Region::Ellipse(ellipse(3.0, 1.0, 0.0, 30.0, 25.0)),
            Region::Ellipse(ellipse(90.0, 80.0, 0.3, 30.0, 25.0)),
            Region::Ellipse(ellipse(1.0, 1.0, 0.0, 0.0, 0.0)),
        ];
        let masks: Vec<_> = regions.iter().map(|region| drawn(region, size)).collect();
        let runs: Vec<_> = regions.iter().map(|region| Pixels::new(region, Some(size))).collect();
        for (mask, runs) in masks.iter().zip(&runs) {
            assert_eq!(runs.count(), mask.iter().filter(|&&pixel| pixel).count() as i64, "{runs:?}");
        }
        for (a, left) in masks.iter().zip(&runs) {
            for (b, right) in masks.iter().zip(&runs) {
                assert_eq!(left.shared(right), a.iter().zip(b).filter(|(a, b)| **a && **b).count() as i64);
            }
        }
    }

    #[test]
    fn an_image_without_a_size_cuts_nothing() {
        assert_eq!(Pixels::new(&rectangle(-10.0, -20.0, -1.0, -1.0), None).count(), 10 * 20);
        assert_eq!(Pixels::new(&rectangle(-10.0, -20.0, -1.0, -1.0), Some([5, 5])).count(), 0);
    }

    #[test]
    fn wild_regions_cost_no_memory() {
        let wild = rectangle(-1e6, -1e6, 1e6, 1e6);
        assert!(Pixels::new(&wild, None).runs.len() < 50_000);
        assert!(Pixels::new(&Region::Ellipse(ellipse(1e6, 1e6, 0.0, 1e6, -1e6)), None).runs.len() < 50_000);
    }

    #[test]
    fn a_worked_example() {
        // Two images: one face found well, then a false alarm; one face found badly (overlap below a half), with a better score.
        let face = ellipse(10.0, 10.0, 0.0, 50.0, 50.0);
        let scored = |region, score| ScoredRegion { region, score };
        let images = [
            FddbCase {
                size: Some([100, 100]),
                faces: vec![face],
                detections: vec![scored(Region::Ellipse(face), 0.9), scored(rectangle(0.0, 0.0, 9.0, 9.0), 0.5)],
            },
            FddbCase { size: None, faces: vec![face], detections: vec![scored(rectangle(41.0, 41.0, 50.0, 50.0), 0.95)] },
        ];
        let score = score(&images);
        assert_eq!(score.faces, 2);
        let discrete: Vec<_> = score.discrete.iter().map(|point| (point.rate, point.false_positives, point.threshold)).collect();
        assert_eq!(discrete, [(0.0, 1.0, 0.95), (0.5, 1.0, 0.9), (0.5, 2.0, 0.5)]);
        let quarter = score.continuous[0].rate * 2.0;
        assert!((0.2..0.3).contains(&quarter), "{quarter}");
        assert!((score.continuous[2].rate * 2.0 - (1.0 + quarter)).abs() < 1e-12);
        assert_eq!(rate_at(&score.discrete, 0.0), None);
        assert_eq!(rate_at(&score.discrete, 1.5).map(|point| point.rate), Some(0.5));
    }

    #[test]
    fn a_detection_outside_its_image_is_told_and_does_not_count() {
        let detections = vec![ScoredRegion { region: rectangle(200.0, 0.0, 220.0, 20.0), score: 1.0 }];
        let image = FddbCase { size: Some([100, 100]), faces: vec![ellipse(9.0, 9.0, 0.0, 50.0, 50.0)], detections };
        let score = score(&[image]);
        assert_eq!((score.outside, score.discrete.len()), (1, 0));
    }
}
