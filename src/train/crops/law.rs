//! Choice of the windows of an image that are cut out as crops (spec section 4.5).

use super::random::Draw;
use super::window::{CropWindow, SampleKind, Targets};
use crate::data::Annotation;
use crate::geometry::{BoundingBox, Landmarks};
use crate::train::config::{CropConfig, Uses};

/// Number of attempts per random negative, which bounds the search in an image full of faces.
const TRIES: u32 = 20;

/// A window to be cut out, with its labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// Window in the image.
    pub window: CropWindow,
    /// Kind of sample.
    pub sample: SampleKind,
    /// Target outputs of the net.
    pub targets: Targets,
    /// Angle by which the image is rotated about `about` before it is cut, radians, clockwise on the screen.
    pub turn: f32,
    /// Centre of the rotation, px.
    pub about: glam::Vec2,
}

/// An annotated image for which windows are chosen.
pub struct Scene<'a> {
    /// Columns and rows, px.
    pub size: [u32; 2],
    /// All annotated faces.
    pub faces: &'a [Annotation],
    /// Permitted uses of the image.
    pub uses: Uses,
    /// Settings for the choice of windows.
    pub law: &'a CropConfig,
    /// Smallest window, px: the input of the first net.
    pub least: i64,
}

/// Returns the share of `window` that `region` covers, for ignored regions: the region of an unannotated
/// crowd may be much larger than the window.
fn covered(window: &BoundingBox, region: &BoundingBox) -> f64 {
    f64::from(window.intersection(region)) / f64::from(window.area())
}

/// Returns the intersection over union in double precision, so that an overlap exactly at a limit counts as
/// reaching it.
fn overlap(a: &BoundingBox, b: &BoundingBox) -> f64 {
    let length = |a1: f32, a2: f32, b1: f32, b2: f32| (f64::from(a2.min(b2)) - f64::from(a1.max(b1))).max(0.0);
    let area = |b: &BoundingBox| (f64::from(b.x2) - f64::from(b.x1)) * (f64::from(b.y2) - f64::from(b.y1));
    let shared = length(a.x1, a.x2, b.x1, b.x2) * length(a.y1, a.y2, b.y1, b.y2);
    let whole = area(a) + area(b) - shared;
    if whole > 0.0 { shared / whole } else { 0.0 }
}

/// The face with the highest overlap with a window.
struct Best {
    overlap: f64,
    /// Index of the face; `None` if it must not be used for training.
    face: Option<usize>,
}

impl Scene<'_> {
    fn usable(&self, face: &Annotation) -> bool {
        let b = &face.bounding_box;
        let [width, height] = self.size.map(|size| size as f32);
        // Spec section 4.5: faces that are small, begin outside or lie entirely outside are excluded.
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

    /// Classifies a window as positive or part by its overlap with a face.
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

    /// For P-Net: chooses random windows all over the image and around each face.
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

    /// Draws the side of a negative, uniform from the smallest window to half of the image.
    fn side(&self, draw: &mut Draw) -> Option<i64> {
        let half = i64::from(self.size[0].min(self.size[1])).div_euclid(2);
        (half > self.least).then(|| draw.whole(self.least, half))
    }

    /// Draws a window about as large as `face` and near it; `None` if the window would be smaller than a
    /// pixel or too large.
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

    /// For R-Net and O-Net: uses the detections of the previous nets, best first, as square windows.
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

    /// For all nets: chooses the window of each face with landmarks, and random windows around it, half of
    /// them rotated.
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
