//! Which windows of an image are cut (spec section 4.5).

use super::random::Draw;
use super::window::{CropWindow, SampleKind, Targets};
use crate::data::Annotation;
use crate::geometry::{BoundingBox, Landmarks};
use crate::train::config::{CropConfig, Uses};

/// Tries for each random negative, so that an image that is all face ends.
const TRIES: u32 = 20;

/// A window to be cut, with what it teaches.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Where.
    pub window: CropWindow,
    /// What it is.
    pub sample: SampleKind,
    /// What its net should say.
    pub targets: Targets,
    /// Radians that the image is turned about the middle of `about` before it is cut, clockwise as it is seen.
    pub turn: f32,
    /// Middle of the turn, px.
    pub about: glam::Vec2,
}

/// An annotated image for which windows are chosen.
pub struct Scene<'a> {
    /// Columns and rows, px.
    pub size: [u32; 2],
    /// Everybody in it.
    pub faces: &'a [Annotation],
    /// What may be learned from it.
    pub uses: Uses,
    /// The law.
    pub law: &'a CropConfig,
    /// Smallest window, px: the input of the first net.
    pub least: i64,
}

/// Share of `window` that `region` covers: a crowd that nobody has counted may be much larger than the window.
fn covered(window: &BoundingBox, region: &BoundingBox) -> f64 {
    f64::from(window.intersection(region)) / f64::from(window.area())
}

/// Intersection over union in double precision, in which what is exactly at a limit is there.
fn overlap(a: &BoundingBox, b: &BoundingBox) -> f64 {
    let length = |a1: f32, a2: f32, b1: f32, b2: f32| (f64::from(a2.min(b2)) - f64::from(a1.max(b1))).max(0.0);
    let area = |b: &BoundingBox| (f64::from(b.x2) - f64::from(b.x1)) * (f64::from(b.y2) - f64::from(b.y1));
    let shared = length(a.x1, a.x2, b.x1, b.x2) * length(a.y1, a.y2, b.y1, b.y2);
    let whole = area(a) + area(b) - shared;
    if whole > 0.0 { shared / whole } else { 0.0 }
}

/// The face that a window overlaps most.
struct Best {
    overlap: f64,
    /// `None` for one that nothing may be learned of.
    face: Option<usize>,
}

impl Scene<'_> {
    fn usable(&self, face: &Annotation) -> bool {
        let b = &face.bounding_box;
        let [width, height] = self.size.map(|size| size as f32);
        // Spec section 4.5: no face that is small or begins outside; nor one that lies elsewhere altogether.
        !face.ignore
            && f64::from(b.width().max(b.height())) >= self.law.min_face_px
            && b.x1 >= 0.0
            && b.y1 >= 0.0
            && b.x1 < width
            && b.y1 < height
    }

    fn best(&self, window: CropWindow) -> Best {
        let window = window.bounding_box();
        let mut best = Best { overlap: 0.0, face: None };
        for (i, face) in self.faces.iter().enumerate() {
            let overlap = if face.ignore { covered(&window, &face.bounding_box) } else { overlap(&window, &face.bounding_box) };
            if overlap > best.overlap {
                best = Best { overlap, face: self.usable(face).then_some(i) };
            }
        }
        best
    }

    fn is_negative(&self, window: CropWindow) -> bool {
        self.best(window).overlap < self.law.overlaps[0]
    }

    /// Positive or part by its overlap with a face.
    fn of_face(&self, overlap: f64) -> Option<SampleKind> {
        let [_, part, positive] = self.law.overlaps;
        if overlap >= positive { Some(SampleKind::Positive) } else { (overlap >= part).then_some(SampleKind::Part) }
    }

    fn cut(&self, window: CropWindow, sample: SampleKind, face: Option<usize>) -> Cut {
        let mut targets = Targets::default();
        if let Some(face) = face.map(|face| &self.faces[face]) {
            targets = targets.with_box(window.box_targets(&face.bounding_box));
            let points = face.landmarks.as_ref().and_then(|points| window.landmark_targets(points));
            targets = points.map_or(targets, |points| targets.with_landmarks(points));
        }
        Cut { window, sample, targets, turn: 0.0, about: glam::Vec2::ZERO }
    }

    /// For P-Net: random windows all over the image and around each face.
    pub fn random(&self, draw: &mut Draw) -> Vec<Cut> {
        let mut cuts = Vec::new();
        if self.uses.negatives {
            self.negatives(draw, &mut cuts);
            self.near_negatives(draw, &mut cuts);
        }
        if self.uses.faces {
            for face in (0..self.faces.len()).filter(|&face| self.usable(&self.faces[face])) {
                let bounding_box = &self.faces[face].bounding_box;
                for _ in 0..self.law.tries_per_face {
                    let Some(window) = self.around(bounding_box, draw).filter(|window| window.is_inside(self.size)) else { continue };
                    let sample = self.of_face(overlap(&window.bounding_box(), bounding_box));
                    cuts.extend(sample.map(|sample| self.cut(window, sample, Some(face))));
                }
            }
        }
        cuts
    }

    fn negatives(&self, draw: &mut Draw, cuts: &mut Vec<Cut>) {
        let mut found = 0;
        for _ in 0..self.law.negatives_per_image * TRIES {
            let Some(side) = self.side(draw).filter(|_| found < self.law.negatives_per_image) else { return };
            let [x, y] = self.size.map(|size| draw.whole(0, i64::from(size) - side + 1));
            let window = CropWindow { x: x as i32, y: y as i32, side: side as i32 };
            if self.is_negative(window) {
                cuts.push(self.cut(window, SampleKind::Negative, None));
                found += 1;
            }
        }
    }

    fn near_negatives(&self, draw: &mut Draw, cuts: &mut Vec<Cut>) {
        for face in self.faces.iter().filter(|face| self.usable(face)) {
            let b = &face.bounding_box;
            for _ in 0..self.law.near_negatives_per_face {
                let Some(side) = self.side(draw) else { return };
                let [x, y] = [(b.x1, b.width()), (b.y1, b.height())].map(|(first, size)| {
                    let first = first as i64;
                    first + draw.whole((-side).max(-first), (size as i64).max(1))
                });
                let window = CropWindow { x: x as i32, y: y as i32, side: side as i32 };
                if window.is_inside(self.size) && self.is_negative(window) {
                    cuts.push(self.cut(window, SampleKind::Negative, None));
                }
            }
        }
    }

    /// A side of a negative: uniform from the least window to half of the image.
    fn side(&self, draw: &mut Draw) -> Option<i64> {
        let half = i64::from(self.size[0].min(self.size[1])).div_euclid(2);
        (half > self.least).then(|| draw.whole(self.least, half))
    }

    /// A window about as large as `face` and nearby; `None` if no window of whole pixels is.
    fn around(&self, face: &BoundingBox, draw: &mut Draw) -> Option<CropWindow> {
        let ([smallest, largest], (w, h)) = (self.law.sides, (f64::from(face.width()), f64::from(face.height())));
        let side = draw.whole((smallest * w.min(h)).floor() as i64, (largest * w.max(h)).ceil() as i64);
        let [x, y] = [(face.x1, w), (face.y1, h)].map(|(first, size)| {
            let shift = draw.between(-self.law.shift * size, self.law.shift * size);
            f64::from(first) + size / 2.0 + shift - side as f64 / 2.0
        });
        let window = CropWindow { x: x.round() as i32, y: y.round() as i32, side: i32::try_from(side).ok()? };
        (side >= 1).then_some(window)
    }

    /// For R- and O-Net: what the nets before found, best first, as squares.
    pub fn detected<'b>(&self, found: impl Iterator<Item = &'b BoundingBox>) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut negatives = 0;
        for found in found {
            let window = CropWindow::around(found);
            if f64::from(window.side) < self.law.min_face_px || !window.is_inside(self.size) {
                continue;
            }
            let best = self.best(window);
            if best.overlap < self.law.overlaps[0] {
                if self.uses.negatives && negatives < self.law.detected_negatives_per_image {
                    cuts.push(self.cut(window, SampleKind::Negative, None));
                    negatives += 1;
                }
                continue;
            }
            let (Some(sample), Some(face)) = (self.of_face(best.overlap), best.face) else { continue };
            if self.uses.faces {
                cuts.push(self.cut(window, sample, Some(face)));
            }
            if self.uses.landmarks && sample == SampleKind::Positive {
                cuts.extend(self.landmark_face(window, face));
            }
        }
        cuts
    }

    fn landmark_face(&self, window: CropWindow, face: usize) -> Option<Cut> {
        let points = self.faces[face].landmarks.as_ref().and_then(|points| window.landmark_targets(points))?;
        Some(Cut { targets: Targets::default().with_landmarks(points), ..self.cut(window, SampleKind::Landmarks, None) })
    }

    /// For all nets: each face with landmarks by itself, and random windows around it, half of them turned.
    pub fn landmark_faces(&self, draw: &mut Draw) -> Vec<Cut> {
        let mut cuts = Vec::new();
        if !self.uses.landmarks {
            return cuts;
        }
        for (i, face) in self.faces.iter().enumerate().filter(|(_, face)| self.usable(face)) {
            let (b, Some(points)) = (&face.bounding_box, &face.landmarks) else { continue };
            cuts.extend(self.landmark_face(CropWindow::around(b), i));
            if f64::from(b.width().max(b.height())) < 2.0 * self.law.min_face_px {
                continue;
            }
            for _ in 0..self.law.landmark_crops {
                let Some(window) = self.around(b, draw).filter(|window| window.is_inside(self.size)) else { continue };
                let most = self.law.rotation_degrees.to_radians();
                let turn = if draw.chance(0.5) { draw.between(-most, most) as f32 } else { 0.0 };
                let about = glam::Vec2::new(b.x1 + b.x2, b.y1 + b.y2) / 2.0;
                let turned: Landmarks = points.map(|point| about + glam::Vec2::from_angle(turn).rotate(point - about));
                if overlap(&window.bounding_box(), b) > self.law.overlaps[2]
                    && let Some(points) = window.landmark_targets(&turned)
                {
                    let targets = Targets::default().with_landmarks(points);
                    cuts.push(Cut { window, sample: SampleKind::Landmarks, targets, turn, about });
                }
            }
        }
        cuts
    }
}

#[cfg(test)]
mod tests;
