//! Boxes, landmarks and scores drawn on a picture, to be seen on a thumbnail as on a poster.
//!
//! Strokes and text grow with the picture and stay in proportion to the face they belong to. Every bright
//! stroke has a dark rim, so that it shows on any background.

use image::{Rgb, RgbImage};
use mtcmcn::Face;

const BRIGHT: Rgb<u8> = Rgb([60, 255, 90]);
const DARK: Rgb<u8> = Rgb([0, 0, 0]);
const POINT: Rgb<u8> = Rgb([255, 220, 0]);

/// A whole-pixel rectangle, right and bottom edges exclusive; may reach outside the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    left: i64,
    top: i64,
    right: i64,
    bottom: i64,
}

impl Area {
    fn grown(self, by: i64) -> Self {
        Self { left: self.left - by, top: self.top - by, right: self.right + by, bottom: self.bottom + by }
    }

    /// The pixel edges nearest to the face's box; a coordinate that is no number becomes 0.
    fn of(face: &Face) -> Self {
        let b = face.bounding_box;
        let [left, top, right, bottom] = [b.x1, b.y1, b.x2, b.y2].map(|edge| edge.clamp(-1e9, 1e9).round() as i64);
        Self { left, top, right, bottom }
    }
}

/// Sizes for one face, px.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pen {
    stroke: i64,
    rim: i64,
    /// Side of one dot of the font.
    dot: i64,
}

impl Pen {
    fn new(picture_px: u32, face_px: f32) -> Self {
        let fit = |picture: f32, face: f32| face.min(picture).max(picture / 3.0).round().max(1.0) as i64;
        let long = picture_px as f32;
        let stroke = fit(long / 400.0, face_px / 15.0);
        // A label is about 44 dots wide: on a small face, at most one and a half times the face.
        Self { stroke, rim: (stroke / 2).max(1), dot: fit(long / 450.0, face_px / 30.0) }
    }
}

/// Draws `faces` on `picture`, each with its number (from 1, in the given order) and its score. The first end
/// up on top.
pub fn faces(picture: &mut RgbImage, faces: &[Face]) {
    let long = picture.width().max(picture.height());
    let pens: Vec<Pen> = faces.iter().map(|face| Pen::new(long, face.bounding_box.width().max(face.bounding_box.height()))).collect();
    for (face, &pen) in faces.iter().zip(&pens).rev() {
        frame(picture, Area::of(face), pen);
        for point in face.landmarks {
            // On a small face five points of the stroke's width would be one blob.
            let side = f64::from(face.bounding_box.width().max(face.bounding_box.height()));
            let (x, y, radius) = (f64::from(point.x), f64::from(point.y), (pen.stroke as f64).min(side / 24.0).max(0.8));
            disc(picture, x, y, radius + (pen.rim as f64).min(radius / 2.0), DARK);
            disc(picture, x, y, radius, POINT);
        }
    }
    for (number, (face, &pen)) in faces.iter().zip(&pens).enumerate().rev() {
        label(picture, Area::of(face), pen, &format!("#{} {:.2}", number + 1, face.score));
    }
}

/// The outline of `area`: a bright stroke along its edges between two dark rims.
fn frame(picture: &mut RgbImage, area: Area, pen: Pen) {
    let outer = (pen.stroke + 1) / 2;
    let inner = outer - pen.stroke;
    ring(picture, area.grown(outer + pen.rim), area.grown(inner - pen.rim), DARK);
    ring(picture, area.grown(outer), area.grown(inner), BRIGHT);
}

/// Fills what is in `outer` and not in `inner`.
fn ring(picture: &mut RgbImage, outer: Area, inner: Area, colour: Rgb<u8>) {
    // In an area too small to have an inside, the four bars cover it all.
    let (middle_y, middle_x) = ((outer.top + outer.bottom) / 2, (outer.left + outer.right) / 2);
    fill(picture, Area { bottom: inner.top.min(middle_y), ..outer }, colour);
    fill(picture, Area { top: inner.bottom.max(middle_y), ..outer }, colour);
    fill(picture, Area { right: inner.left.min(middle_x), ..outer }, colour);
    fill(picture, Area { left: inner.right.max(middle_x), ..outer }, colour);
}

fn fill(picture: &mut RgbImage, area: Area, colour: Rgb<u8>) {
    let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
    for y in area.top.max(0)..area.bottom.min(height) {
        for x in area.left.max(0)..area.right.min(width) {
            picture.put_pixel(x as u32, y as u32, colour);
        }
    }
}

/// Fills the pixels whose centres are within `radius` of the point (x, y) in `image` space.
fn disc(picture: &mut RgbImage, x: f64, y: f64, radius: f64, colour: Rgb<u8>) {
    let span =
        |centre: f64, side: u32| ((centre - radius).floor().max(0.0) as u32)..((centre + radius).ceil().clamp(0.0, f64::from(side)) as u32);
    for row in span(y, picture.height()) {
        for column in span(x, picture.width()) {
            let (dx, dy) = (f64::from(column) + 0.5 - x, f64::from(row) + 0.5 - y);
            if dx * dx + dy * dy <= radius * radius {
                picture.put_pixel(column, row, colour);
            }
        }
    }
}

/// `text` in dark dots on a bright plate: above the face, or just inside its box where the picture ends.
fn label(picture: &mut RgbImage, face: Area, pen: Pen, text: &str) {
    let (advance, padding) = (6 * pen.dot, 2 * pen.dot);
    let width = text.len() as i64 * advance - pen.dot + 2 * padding;
    let height = 7 * pen.dot + 2 * padding;
    let edge = (pen.stroke + 1) / 2;
    let left = (face.left - edge).min(i64::from(picture.width()) - width).max(0);
    let above = face.top - edge - height;
    let top = if above >= 0 { above } else { (face.top + edge).max(0) };
    let plate = Area { left, top, right: left + width, bottom: top + height };
    fill(picture, plate.grown(pen.rim), DARK);
    fill(picture, plate, BRIGHT);
    for (index, character) in text.chars().enumerate() {
        glyph(picture, left + padding + index as i64 * advance, top + padding, pen.dot, character);
    }
}

fn glyph(picture: &mut RgbImage, left: i64, top: i64, dot: i64, character: char) {
    for (row, dots) in (0..).zip(font(character)) {
        for column in (0..5).filter(|column| dots >> (4 - column) & 1 == 1) {
            let (x, y) = (left + column * dot, top + row * dot);
            fill(picture, Area { left: x, top: y, right: x + dot, bottom: y + dot }, DARK);
        }
    }
}

/// Seven rows of five dots, most significant bit left; blank for what a label never has.
fn font(character: char) -> [u8; 7] {
    match character {
        '0' => [0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110],
        '1' => [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
        '2' => [0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111],
        '3' => [0b01110, 0b10001, 0b00001, 0b00110, 0b00001, 0b10001, 0b01110],
        '4' => [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
        '5' => [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
        '6' => [0b01110, 0b10000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
        '7' => [0b11111, 0b00001, 0b00010, 0b00100, 0b00100, 0b01000, 0b01000],
        '8' => [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
        '9' => [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00001, 0b01110],
        '#' => [0b01010, 0b01010, 0b11111, 0b01010, 0b11111, 0b01010, 0b01010],
        '.' => [0b00000, 0b00000, 0b00000, 0b00000, 0b00000, 0b01100, 0b01100],
        _ => [0; 7],
    }
}

#[cfg(test)]
mod tests {
    use glam::Vec2;
    use mtcmcn::geometry::BoundingBox;

    use super::*;

    fn face(x1: f32, y1: f32, x2: f32, y2: f32) -> Face {
        let centre = Vec2::new((x1 + x2) / 2.0, (y1 + y2) / 2.0);
        Face { bounding_box: BoundingBox { x1, y1, x2, y2 }, score: 0.98, landmarks: [centre; 5] }
    }

    fn grey(width: u32, height: u32) -> RgbImage {
        RgbImage::from_pixel(width, height, Rgb([128; 3]))
    }

    #[test]
    fn the_stroke_runs_along_the_edges_of_the_box() {
        let mut picture = grey(100, 100);
        faces(&mut picture, &[face(20.0, 30.0, 70.0, 90.0)]);
        // One pixel of stroke just outside each edge, one of rim on either side.
        let row = |x| *picture.get_pixel(x, 50);
        assert_eq!([18, 19, 20, 21].map(row), [DARK, BRIGHT, DARK, Rgb([128; 3])]);
        assert_eq!([68, 69, 70, 71, 72].map(row), [Rgb([128; 3]), DARK, BRIGHT, DARK, Rgb([128; 3])]);
        assert_eq!(*picture.get_pixel(45, 60), POINT);
    }

    #[test]
    fn strokes_grow_with_the_picture_but_not_over_the_face() {
        assert_eq!(Pen::new(100, 40.0), Pen { stroke: 1, rim: 1, dot: 1 });
        assert_eq!(Pen::new(8000, 2000.0), Pen { stroke: 20, rim: 10, dot: 18 });
        assert_eq!(Pen::new(8000, 60.0), Pen { stroke: 7, rim: 3, dot: 6 });
    }

    #[test]
    fn anything_can_be_drawn_anywhere() {
        let wild = [
            face(-1e9, -1e9, 1e9, 1e9),
            face(f32::NAN, f32::NEG_INFINITY, f32::INFINITY, f32::NAN),
            face(8.0, 8.0, 2.0, 2.0),
            face(3.0, 3.0, 3.0, 3.0),
        ];
        for (width, height) in [(1, 1), (12, 5), (1, 300)] {
            faces(&mut grey(width, height), &wild);
        }
    }
}
