//! Pictures turned by any angle, and faces found there led back.

use glam::{Affine2, Mat2, Vec2};

use crate::cascade::{Face, Frame};
use crate::geometry::BoundingBox;

/// A picture that is turned clockwise.
#[derive(Debug)]
pub struct Turned {
    /// The turned picture, as large as it has to be; what does not come from the picture is black.
    pub frame: Frame,
    image_from_turned: Affine2,
    quarters: bool,
}

/// Turns `frame` clockwise by `degrees`; quarter turns move pixels as they are, others blend four of them.
pub fn turned(frame: &Frame, degrees: f64) -> Turned {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let quarters = degrees.rem_euclid(90.0) == 0.0;
    let (sin, cos) = degrees.to_radians().sin_cos();
    let exact = |value: f64| if quarters { value.round() as f32 } else { value as f32 };
    let (sin, cos) = (exact(sin), exact(cos));
    let turn = Mat2::from_cols(Vec2::new(cos, sin), Vec2::new(-sin, cos));
    let size = Vec2::new((width * cos).abs() + (height * sin).abs(), (width * sin).abs() + (height * cos).abs()).ceil();
    // Middle to middle, pixel edges on both sides.
    let turned_from_image =
        Affine2::from_translation(size / 2.0) * Affine2::from_mat2(turn) * Affine2::from_translation(-Vec2::new(width, height) / 2.0);
    let image_from_turned = turned_from_image.inverse();
    let (columns, rows) = (size.x as u32, size.y as u32);
    let mut rgba = Vec::with_capacity(columns as usize * rows as usize * 4);
    for y in 0..rows {
        for x in 0..columns {
            let place = image_from_turned.transform_point2(Vec2::new(x as f32 + 0.5, y as f32 + 0.5));
            rgba.extend(if quarters { pixel(frame, place.floor()) } else { blended(frame, place - 0.5) });
        }
    }
    let frame = Frame::from_rgba(columns, rows, rgba).unwrap_or_else(|| frame.clone());
    Turned { frame, image_from_turned, quarters }
}

fn pixel(frame: &Frame, at: Vec2) -> [u8; 4] {
    let inside = at.x >= 0.0 && at.y >= 0.0 && at.x < frame.width() as f32 && at.y < frame.height() as f32;
    if !inside {
        return [0, 0, 0, 255];
    }
    let at = (at.y as usize * frame.width() as usize + at.x as usize) * 4;
    [frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2], 255]
}

/// The colour at `place`, where (0, 0) is the middle of the first pixel.
fn blended(frame: &Frame, place: Vec2) -> [u8; 4] {
    let (corner, weight) = (place.floor(), place - place.floor());
    let mut sum = [0.0; 4];
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let share = (1.0 - (weight.x - dx).abs()) * (1.0 - (weight.y - dy).abs());
        let pixel = pixel(frame, corner + Vec2::new(dx, dy));
        sum.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += share * f32::from(channel));
    }
    sum.map(|channel: f32| channel.round() as u8)
}

impl Turned {
    /// `face`, found in the turned picture, in the picture as it was. Its landmarks keep their names: the
    /// left eye is that on the left of a face that is seen upright. Its box is the same after quarter turns;
    /// after others it is a box of its size about the same middle.
    pub fn back(&self, face: &Face) -> Face {
        let b = face.bounding_box;
        let landmarks = face.landmarks.map(|point| self.image_from_turned.transform_point2(point));
        let [first, last] = [Vec2::new(b.x1, b.y1), Vec2::new(b.x2, b.y2)];
        let [low, high] = if self.quarters {
            let [a, b] = [first, last].map(|corner| self.image_from_turned.transform_point2(corner));
            [a.min(b), a.max(b)]
        } else {
            let (middle, half) = (self.image_from_turned.transform_point2((first + last) / 2.0), (last - first) / 2.0);
            [middle - half, middle + half]
        };
        Face { bounding_box: BoundingBox { x1: low.x, y1: low.y, x2: high.x, y2: high.y }, landmarks, ..*face }
    }
}

/// Faces of several searches of one picture, best first: of two that overlap by half or more and are of
/// different searches the better one stays.
pub fn united(searches: Vec<Vec<Face>>) -> Vec<Face> {
    let mut all: Vec<(usize, Face)> =
        searches.into_iter().enumerate().flat_map(|(search, faces)| faces.into_iter().map(move |face| (search, face))).collect();
    all.sort_by(|a, b| b.1.score.total_cmp(&a.1.score));
    let mut kept: Vec<(usize, Face)> = Vec::new();
    for (search, face) in all {
        let same = |(other, known): &(usize, Face)| *other != search && overlap(&known.bounding_box, &face.bounding_box) >= 0.5;
        if !kept.iter().any(same) {
            kept.push((search, face));
        }
    }
    kept.into_iter().map(|(_, face)| face).collect()
}

/// Shared area over that of the smaller box.
fn overlap(a: &BoundingBox, b: &BoundingBox) -> f32 {
    let (width, height) = (a.x2.min(b.x2) - a.x1.max(b.x1), a.y2.min(b.y2) - a.y1.max(b.y1));
    if width > 0.0 && height > 0.0 { width * height / a.area().min(b.area()) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: u32, height: u32) -> Frame {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 200, 255]));
        Frame::from_rgba(width, height, pixels.collect()).expect("lengths agree")
    }

    fn at(frame: &Frame, x: u32, y: u32) -> [u8; 2] {
        let at = (y * frame.width() + x) as usize * 4;
        [frame.rgba()[at], frame.rgba()[at + 1]]
    }

    #[test]
    fn quarter_turns_move_every_pixel() {
        let frame = ramp(30, 20);
        let right = turned(&frame, 90.0).frame;
        assert_eq!((right.width(), right.height()), (20, 30));
        // Clockwise: the top row becomes the right column.
        assert_eq!([at(&right, 19, 0), at(&right, 0, 0), at(&right, 19, 29)], [[0, 0], [0, 19], [29, 0]]);
        let half = turned(&frame, 180.0).frame;
        assert_eq!([at(&half, 0, 0), at(&half, 29, 19)], [[29, 19], [0, 0]]);
        assert_eq!(turned(&turned(&frame, 270.0).frame, 90.0).frame.rgba(), frame.rgba());
        assert_eq!(turned(&frame, 0.0).frame.rgba(), frame.rgba());
    }

    #[test]
    fn faces_are_led_back_to_where_they_are() {
        let frame = ramp(30, 20);
        let face = |x: f32, y: f32| Face {
            bounding_box: BoundingBox { x1: x, y1: y, x2: x + 6.0, y2: y + 4.0 },
            score: 0.9,
            landmarks: [Vec2::new(x + 1.0, y + 1.0); 5],
        };
        let back = turned(&frame, 90.0).back(&face(2.0, 3.0));
        let b = back.bounding_box;
        assert_eq!([b.x1, b.y1, b.x2, b.y2], [3.0, 12.0, 7.0, 18.0]);
        assert_eq!(back.landmarks[0], Vec2::new(4.0, 17.0));
        let tilted = turned(&frame, 45.0);
        let middle = Vec2::new(tilted.frame.width() as f32 / 2.0, tilted.frame.height() as f32 / 2.0);
        let back = tilted.back(&face(middle.x - 3.0, middle.y - 2.0)).bounding_box;
        assert!((back.x1 - 12.0).abs() < 1e-3 && (back.y2 - 12.0).abs() < 1e-3, "{back:?}");
    }

    #[test]
    fn of_two_searches_the_better_face_stays_and_of_one_search_both() {
        let face = |x: f32, score: f32| Face {
            bounding_box: BoundingBox { x1: x, y1: 0.0, x2: x + 10.0, y2: 10.0 },
            score,
            landmarks: [Vec2::ZERO; 5],
        };
        let united = united(vec![vec![face(0.0, 0.8), face(3.0, 0.7)], vec![face(1.0, 0.9), face(50.0, 0.6)]]);
        assert_eq!(united.iter().map(|face| face.score).collect::<Vec<_>>(), [0.9, 0.6]);
        assert_eq!(super::united(vec![vec![face(0.0, 0.8), face(3.0, 0.7)]]).len(), 2);
    }
}
