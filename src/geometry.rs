//! Boxes, landmarks and the similarity that aligns a face. All coordinates are in `image` space unless a name
//! says otherwise: pixels, with the origin at the top-left *corner* of the top-left pixel and y pointing
//! down.

use glam::{Affine2, Mat2, Vec2};

/// An axis-aligned box, given by its edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoundingBox {
    /// Left edge.
    pub x1: f32,
    /// Top edge.
    pub y1: f32,
    /// Right edge.
    pub x2: f32,
    /// Bottom edge.
    pub y2: f32,
}

impl BoundingBox {
    /// Returns right edge minus left edge, px.
    pub fn width(&self) -> f32 {
        self.x2 - self.x1
    }

    /// Returns bottom edge minus top edge, px.
    pub fn height(&self) -> f32 {
        self.y2 - self.y1
    }

    /// Returns the area in px², or zero for an inverted box.
    pub fn area(&self) -> f32 {
        self.width().max(0.0) * self.height().max(0.0)
    }

    /// Returns the part of the box inside `[0, width] x [0, height]`.
    pub fn clipped(&self, width: u32, height: u32) -> Self {
        let (w, h) = (width as f32, height as f32);
        Self { x1: self.x1.clamp(0.0, w), y1: self.y1.clamp(0.0, h), x2: self.x2.clamp(0.0, w), y2: self.y2.clamp(0.0, h) }
    }

    /// Returns the area of the intersection, px².
    pub fn intersection(&self, other: &Self) -> f32 {
        Self { x1: self.x1.max(other.x1), y1: self.y1.max(other.y1), x2: self.x2.min(other.x2), y2: self.y2.min(other.y2) }.area()
    }

    /// Returns the intersection over union, or 0 if neither box has an area.
    pub fn iou(&self, other: &Self) -> f32 {
        let inter = self.intersection(other);
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }
}

/// Left eye, right eye, nose tip, left and right mouth corner; "left" means the smaller x in an upright face
/// (the viewer's left).
pub type Landmarks = [Vec2; 5];

/// Positions of the five landmarks in an aligned 112 x 112 crop, in pixel-centre coordinates (the `ArcFace`
/// template).
pub const ALIGNED_112: Landmarks = [
    Vec2::new(38.2946, 51.6963),
    Vec2::new(73.5318, 51.5014),
    Vec2::new(56.0252, 71.7366),
    Vec2::new(41.5493, 92.3655),
    Vec2::new(70.7299, 92.2041),
];

/// Returns the least-squares similarity (rotation, uniform scale, translation) that maps `from` to `to`, or
/// `None` if all points of `from` coincide or a coordinate is not finite.
///
/// With means removed: `a = Σ(px qx + py qy) / S`, `b = Σ(px qy - py qx) / S`, `S = Σ|p|²`,
/// `M = [a -b; b a]`.
pub fn similarity(from: &Landmarks, to: &Landmarks) -> Option<Affine2> {
    let mean = |points: &Landmarks| points.iter().sum::<Vec2>() / points.len() as f32;
    let (mean_from, mean_to) = (mean(from), mean(to));
    let (mut a, mut b, mut spread) = (0.0, 0.0, 0.0);
    for (p, q) in from.iter().zip(to) {
        let (p, q) = (*p - mean_from, *q - mean_to);
        a += p.dot(q);
        b += p.perp_dot(q);
        spread += p.length_squared();
    }
    let matrix = Mat2::from_cols(Vec2::new(a, b), Vec2::new(-b, a)) * (1.0 / spread);
    let map = Affine2::from_mat2_translation(matrix, mean_to - matrix * mean_from);
    (spread > 0.0 && map.is_finite()).then_some(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn similarity_recovers_a_known_map() {
        let known = Affine2::from_scale_angle_translation(Vec2::splat(1.7), 0.4, Vec2::new(30.0, -5.0));
        let to = ALIGNED_112.map(|p| known.transform_point2(p));
        let found = similarity(&ALIGNED_112, &to).expect("points are apart");
        for p in ALIGNED_112 {
            let error = found.transform_point2(p).distance(known.transform_point2(p));
            assert!(error < 1e-3, "{p}: {error}");
        }
    }

    #[test]
    fn similarity_of_one_point_is_none() {
        assert_eq!(similarity(&[Vec2::ONE; 5], &ALIGNED_112), None);
        assert_eq!(similarity(&[Vec2::NAN; 5], &ALIGNED_112), None);
    }

    #[test]
    fn iou_of_halves_and_strangers() {
        let whole = BoundingBox { x1: 0.0, y1: 0.0, x2: 4.0, y2: 2.0 };
        let half = BoundingBox { x1: 0.0, y1: 0.0, x2: 2.0, y2: 2.0 };
        let far = BoundingBox { x1: 9.0, y1: 9.0, x2: 10.0, y2: 10.0 };
        assert_eq!(whole.iou(&half), 0.5);
        assert_eq!(whole.iou(&far), 0.0);
        assert_eq!(far.clipped(4, 4).area(), 0.0);
    }
}
