//! Square windows of an image, and what they teach (spec sections 4.1 and 4.2).

use glam::Vec2;
use serde::{Deserialize, Serialize};

use crate::geometry::{BoundingBox, Landmarks};
use crate::kernels::train::{LossTask, SampleBits};

/// What a crop teaches (spec section 4.1), in the order of the shares of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleKind {
    /// No face: overlaps every face by less than the first limit.
    Negative,
    /// A face with its box: overlaps it by at least the third limit.
    Positive,
    /// Part of a face, with its box: overlaps it by at least the second limit.
    Part,
    /// A face with its landmarks.
    Landmarks,
}

impl SampleKind {
    /// All of them, by index.
    pub const ALL: [Self; 4] = [Self::Negative, Self::Positive, Self::Part, Self::Landmarks];

    /// As users read it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Negative => "negatives",
            Self::Positive => "positives",
            Self::Part => "parts",
            Self::Landmarks => "landmark faces",
        }
    }

    /// The tasks that it has.
    pub fn kind(self) -> SampleBits {
        match self {
            Self::Negative => SampleBits::NEGATIVE,
            Self::Positive => SampleBits::POSITIVE,
            Self::Part => SampleBits::PART,
            Self::Landmarks => SampleBits::LANDMARKS,
        }
    }
}

/// A square of whole pixels; may reach outside the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropWindow {
    /// Left edge, px.
    pub x: i32,
    /// Top edge, px.
    pub y: i32,
    /// Side, px.
    pub side: i32,
}

impl CropWindow {
    /// Its edges.
    pub fn bounding_box(self) -> BoundingBox {
        let [x1, y1, side] = [self.x, self.y, self.side].map(|v| v as f32);
        BoundingBox { x1, y1, x2: x1 + side, y2: y1 + side }
    }

    /// Whether no part lies outside an image of `[width, height]`.
    pub fn is_inside(self, [width, height]: [u32; 2]) -> bool {
        let fits = |first: i32, size: u32| first >= 0 && i64::from(first) + i64::from(self.side) <= i64::from(size);
        fits(self.x, width) && fits(self.y, height)
    }

    /// The square of the longer side about the middle of `face`, rounded (spec section 3.4).
    pub fn around(face: &BoundingBox) -> Self {
        let side = face.width().max(face.height()).round().max(1.0);
        let first = |low: f32, high: f32| ((low + high - side) / 2.0).round() as i32;
        Self { x: first(face.x1, face.x2), y: first(face.y1, face.y2), side: side as i32 }
    }

    /// About the same middle, `scale` times as large, rounded.
    pub fn scaled(self, scale: f64) -> Self {
        let side = (f64::from(self.side) * scale).round().max(1.0) as i32;
        let shift = (side - self.side).div_euclid(2);
        Self { x: self.x.saturating_sub(shift), y: self.y.saturating_sub(shift), side }
    }

    /// Corners of `face` from the window's corners, in sides: `(x1-X1)/S, (y1-Y1)/S, (x2-X2)/S, (y2-Y2)/S` (spec section 4.2, whose inclusive
    /// corners are one less than our edges on both sides of the last two differences).
    pub fn box_targets(self, face: &BoundingBox) -> [f32; 4] {
        let window = self.bounding_box();
        [face.x1 - window.x1, face.y1 - window.y1, face.x2 - window.x2, face.y2 - window.y2].map(|d| d / self.side as f32)
    }

    /// Points in sides from the window's corner, all x first (spec section 4.2); `None` if one is not strictly within the window.
    pub fn landmark_targets(self, points: &Landmarks) -> Option<[f32; 10]> {
        let window = self.bounding_box();
        let targets = std::array::from_fn(|at| {
            let point = points[at % 5];
            (if at < 5 { point.x - window.x1 } else { point.y - window.y1 }) / self.side as f32
        });
        targets.iter().all(|target| *target > 0.0 && *target < 1.0).then_some(targets)
    }
}

/// Numbers that a crop's net should give: box offsets, then landmarks; and which tasks have them.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Targets {
    /// Of no meaning where the task is missing.
    pub values: [f32; 14],
    /// Bits of the tasks that are there, as in [`SampleBits`].
    pub tasks: u8,
}

impl Targets {
    /// Adds the box.
    pub fn with_box(mut self, offsets: [f32; 4]) -> Self {
        self.values[..4].copy_from_slice(&offsets);
        self.tasks |= 1 << LossTask::Box.index();
        self
    }

    /// Adds the landmarks.
    pub fn with_landmarks(mut self, points: [f32; 10]) -> Self {
        self.values[4..].copy_from_slice(&points);
        self.tasks |= 1 << LossTask::Landmarks.index();
        self
    }

    /// Of the crop turned about its middle by `turn` radians, clockwise as it is seen: the box keeps its size and stays upright about its middle.
    pub fn turned(self, turn: f32) -> Self {
        let turned = |point: Vec2| Vec2::from_angle(turn).rotate(point - 0.5) + 0.5;
        let v = self.values;
        let middle = Vec2::new(v[0] + v[2] + 1.0, v[1] + v[3] + 1.0) / 2.0;
        let shift = turned(middle) - middle;
        let mut values = v;
        for (at, value) in values[..4].iter_mut().enumerate() {
            *value += shift[at % 2];
        }
        for i in 0..5 {
            let point = turned(Vec2::new(v[4 + i], v[9 + i]));
            (values[4 + i], values[9 + i]) = (point.x, point.y);
        }
        Self { values, ..self }
    }

    /// Of the mirrored crop: `(dx1, dy1, dx2, dy2) -> (-dx2, dy1, -dx1, dy2)`; landmarks `x -> 1 - x`, eyes and mouth corners swapped (spec
    /// section 4.7).
    pub fn mirrored(self) -> Self {
        const SWAPPED: [usize; 5] = [1, 0, 2, 4, 3];
        let v = self.values;
        let values = std::array::from_fn(|at| match at {
            0 => -v[2],
            2 => -v[0],
            1 | 3 => v[at],
            4..9 => 1.0 - v[4 + SWAPPED[at - 4]],
            _ => v[9 + SWAPPED[at - 9]],
        });
        Self { values, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(x1: f32, y1: f32, x2: f32, y2: f32) -> BoundingBox {
        BoundingBox { x1, y1, x2, y2 }
    }

    #[test]
    fn targets_are_those_of_the_spec() {
        // Inclusive corners (12, 14) to (40, 47) in a window from (10, 20) of side 40, so to (49, 59): pixels count from 0.
        let window = CropWindow { x: 10, y: 20, side: 40 };
        let want = [(12.0 - 10.0) / 40.0, (14.0 - 20.0) / 40.0, (40.0 - 49.0) / 40.0, (47.0 - 59.0) / 40.0];
        assert_eq!(window.box_targets(&face(12.0, 14.0, 41.0, 48.0)), want);
        let points = [(20.0, 30.0), (40.0, 31.0), (30.0, 40.0), (22.0, 50.0), (38.0, 52.0)].map(|(x, y)| Vec2::new(x, y));
        let want = [0.25, 0.75, 0.5, 0.3, 0.7, 0.25, 0.275, 0.5, 0.75, 0.8];
        assert_eq!(window.landmark_targets(&points), Some(want));
        let mut outside = points;
        outside[3].x = 10.0;
        assert_eq!(window.landmark_targets(&outside), None);
        outside[3].x = f32::NAN;
        assert_eq!(window.landmark_targets(&outside), None);
    }

    #[test]
    fn what_a_window_teaches_can_be_decoded_again() {
        // By the rule of spec section 3.4 for stages 2 and 3, in 1-based inclusive corners.
        let (window, face) = (CropWindow { x: 7, y: 3, side: 24 }, face(9.5, 1.25, 30.0, 28.75));
        let d = window.box_targets(&face);
        let [x1, y1, x2, y2] = [window.x + 1, window.y + 1, window.x + window.side, window.y + window.side].map(|v| v as f32);
        let (w, h) = (x2 - x1 + 1.0, y2 - y1 + 1.0);
        let got = [x1 + d[0] * w - 1.0, y1 + d[1] * h - 1.0, x2 + d[2] * w, y2 + d[3] * h];
        assert_eq!(got, [face.x1, face.y1, face.x2, face.y2]);
    }

    #[test]
    fn mirrored_twice_is_the_same_and_once_is_the_mirror_image() {
        let window = CropWindow { x: 0, y: 0, side: 32 };
        let points = [(8.0, 9.0), (22.0, 10.0), (15.0, 16.0), (9.0, 24.0), (21.0, 25.0)].map(|(x, y)| Vec2::new(x, y));
        let face = face(2.0, 1.0, 27.0, 30.0);
        let targets = Targets::default().with_box(window.box_targets(&face)).with_landmarks(window.landmark_targets(&points).unwrap());
        let flip = |x: f32| 32.0 - x;
        let other = [points[1], points[0], points[2], points[4], points[3]].map(|p| Vec2::new(flip(p.x), p.y));
        let face = BoundingBox { x1: flip(face.x2), x2: flip(face.x1), ..face };
        let want = Targets::default().with_box(window.box_targets(&face)).with_landmarks(window.landmark_targets(&other).unwrap());
        assert_eq!(targets.mirrored(), want);
        assert_eq!(targets.mirrored().mirrored(), targets);
        assert_eq!(targets.tasks, 0b110);
    }

    #[test]
    fn a_window_may_touch_the_edge_of_its_image_and_no_more() {
        let window = CropWindow { x: 0, y: 4, side: 10 };
        assert!(window.is_inside([10, 14]) && !window.is_inside([9, 14]) && !window.is_inside([10, 13]));
        assert!(!CropWindow { x: -1, ..window }.is_inside([30, 30]));
        assert!(!CropWindow { side: i32::MAX, ..window }.is_inside([30, 30]));
        assert_eq!(CropWindow::around(&face(10.0, 10.0, 20.0, 40.0)), CropWindow { x: 0, y: 10, side: 30 });
    }
}
