//! The aligned crop: a face turned and scaled upright, as face recognition wants it.

use glam::{Affine2, Vec2};
use image::{Rgb, RgbImage};

use crate::cascade::{Face, Frame};
use crate::geometry::{ALIGNED_112, BoundingBox, Landmarks, similarity};

/// Side of the crop that face recognition wants, px.
const SIDE: u32 = 112;

/// The 112 x 112 crop in which `landmarks` fall on [`ALIGNED_112`] as well as a similarity can do; `None` if
/// they leave no such map.
///
/// The template counts from pixel centres: (0, 0) is the centre of the first pixel. Landmarks are taken the
/// same way, though as points in `image` space they are half a pixel off that: the networks for which this
/// crop is made were trained on crops made so. Each pixel of the crop is one bilinear sample; what lies
/// outside the frame is black.
pub fn crop_112(frame: &Frame, landmarks: &Landmarks) -> Option<RgbImage> {
    crop(frame, landmarks, SIDE, 0.0)
}

/// As [`crop_112`], but `side` pixels wide and high, and with `margin` more on every side, as a share of that
/// crop's side.
pub fn crop(frame: &Frame, landmarks: &Landmarks, side: u32, margin: f32) -> Option<RgbImage> {
    // From pixel centres of the template to those of the crop.
    let scale = side as f32 / (SIDE as f32 * (1.0 + 2.0 * margin));
    let offset = (margin * SIDE as f32 + 0.5) * scale - 0.5;
    let template = ALIGNED_112.map(|point| if margin == 0.0 && side == SIDE { point } else { point * scale + Vec2::splat(offset) });
    let crop_from_image = similarity(landmarks, &template)?;
    let image_from_crop = crop_from_image.inverse();
    image_from_crop.is_finite().then(|| warp(frame, image_from_crop, side, side))
}

/// The square about the middle of `bounding_box`, as long as its longer side and with `margin` more on every
/// side, as it is in the picture or scaled to `side` pixels; `None` if it has no pixel. What lies outside the
/// frame is black.
pub fn square(frame: &Frame, bounding_box: &BoundingBox, side: Option<u32>, margin: f32) -> Option<RgbImage> {
    const MOST: f32 = 16_384.0;
    let b = bounding_box;
    let length = (b.width().max(b.height()) * (1.0 + 2.0 * margin)).round();
    if !(1.0..=MOST).contains(&length) {
        return None;
    }
    let corner = (Vec2::new(b.x1 + b.x2, b.y1 + b.y2) - Vec2::splat(length)) / 2.0;
    let own = RgbImage::from_fn(length as u32, length as u32, |u, v| Rgb(pixel(frame, corner.round() + Vec2::new(u as f32, v as f32))));
    Some(match side {
        Some(side) if side != own.width() => image::imageops::resize(&own, side, side, image::imageops::FilterType::Triangle),
        _ => own,
    })
}

/// The square in the middle of `frame`, scaled to `side` pixels, for pictures in which no face is found: all
/// of a square that has `side` pixels already, and so may be an aligned crop, or else half of the shorter
/// side, at least a pixel.
pub fn middle(frame: &Frame, side: u32) -> Option<RgbImage> {
    let (w, h) = (frame.width() as f32, frame.height() as f32);
    let length = if (frame.width(), frame.height()) == (side, side) { w } else { w.min(h) / 2.0 };
    let [x1, y1] = [(w - length) / 2.0, (h - length) / 2.0];
    square(frame, &BoundingBox { x1, y1, x2: x1 + length, y2: y1 + length }, Some(side), 0.0)
}

/// The face that a photo of one person is about: the one with the largest `area - 2 distance²`, where the
/// distance is that of its middle from the frame's (section 12 of the recognition reference).
pub fn main_face(faces: &[Face], frame: &Frame) -> Option<Face> {
    let middle = Vec2::new(frame.width() as f32, frame.height() as f32) / 2.0;
    let worth = |face: &Face| {
        let b = face.bounding_box;
        b.area() - 2.0 * (Vec2::new(b.x1 + b.x2, b.y1 + b.y2) / 2.0).distance_squared(middle)
    };
    faces.iter().copied().max_by(|a, b| worth(a).total_cmp(&worth(b)))
}

/// Samples `frame` at `image_from_crop` of every pixel centre of a `width x height` crop, centres counted
/// from (0, 0) on both sides.
fn warp(frame: &Frame, image_from_crop: Affine2, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |u, v| bilinear(frame, image_from_crop.transform_point2(Vec2::new(u as f32, v as f32))))
}

/// The frame's colour at `p`, where (0, 0) is the centre of the first pixel; pixels outside count as black.
fn bilinear(frame: &Frame, p: Vec2) -> Rgb<u8> {
    let (corner, weight) = (p.floor(), p - p.floor());
    let mut sum = [0.0; 3];
    for (dx, dy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
        let share = (1.0 - (weight.x - dx).abs()) * (1.0 - (weight.y - dy).abs());
        let pixel = pixel(frame, corner + Vec2::new(dx, dy));
        sum.iter_mut().zip(pixel).for_each(|(sum, channel)| *sum += share * f32::from(channel));
    }
    Rgb(sum.map(|channel| channel.round() as u8))
}

fn pixel(frame: &Frame, p: Vec2) -> [u8; 3] {
    let inside = p.x >= 0.0 && p.y >= 0.0 && p.x < frame.width() as f32 && p.y < frame.height() as f32;
    if !inside {
        return [0; 3];
    }
    let at = (p.y as usize * frame.width() as usize + p.x as usize) * 4;
    [frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2]]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red grows with x, green with y: so a sample tells where it was taken.
    fn ramp(width: u32, height: u32) -> Frame {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 200, 255]));
        Frame::from_rgba(width, height, pixels.collect()).expect("lengths agree")
    }

    #[test]
    fn a_warp_samples_where_the_map_points() {
        let map = Affine2::from_scale_angle_translation(Vec2::splat(2.0), std::f32::consts::FRAC_PI_2, Vec2::new(50.0, 10.0));
        let crop = warp(&ramp(60, 60), map, 8, 8);
        // A quarter turn with y down: (u, v) -> (50 - 2v, 10 + 2u).
        assert_eq!(crop.get_pixel(0, 0), &Rgb([50, 10, 200]));
        assert_eq!(crop.get_pixel(3, 1), &Rgb([48, 16, 200]));
        assert_eq!(crop.get_pixel(7, 7), &Rgb([36, 24, 200]));
    }

    #[test]
    fn samples_between_pixels_are_blended_and_the_outside_is_black() {
        let frame = ramp(20, 20);
        assert_eq!(bilinear(&frame, Vec2::new(4.25, 7.5)), Rgb([4, 8, 200])); // 4.25 and 7.5, rounded
        assert_eq!(bilinear(&frame, Vec2::new(-0.5, 10.0)), Rgb([0, 5, 100])); // half of column 0, half of nothing
        assert_eq!(bilinear(&frame, Vec2::new(19.75, 19.0)), Rgb([5, 5, 50])); // a quarter of the last pixel
        assert_eq!(bilinear(&frame, Vec2::new(-1.0, 3.0)), Rgb([0; 3]));
        assert_eq!(bilinear(&frame, Vec2::new(1e9, f32::NEG_INFINITY)), Rgb([0; 3]));
    }

    #[test]
    fn landmarks_on_the_template_give_the_frame_itself() {
        let frame = ramp(112, 112);
        let crop = crop_112(&frame, &ALIGNED_112).expect("the template is a face");
        for (x, y, pixel) in crop.enumerate_pixels() {
            assert!(pixel.0[0].abs_diff(x as u8) <= 1 && pixel.0[1].abs_diff(y as u8) <= 1, "{x} {y}: {pixel:?}");
        }
        assert_eq!(crop.get_pixel(56, 72), &Rgb([56, 72, 200]));
    }

    #[test]
    fn margin_and_size_show_the_same_face_with_more_around_it() {
        let frame = ramp(112, 112);
        let crop = crop(&frame, &ALIGNED_112, 224, 0.0).expect("the template is a face");
        assert_eq!(crop.dimensions(), (224, 224));
        let Rgb([x, y, _]) = *crop.get_pixel(112, 60);
        assert!(x.abs_diff(56) <= 1 && y.abs_diff(30) <= 1, "{x} {y}");
        let wide = super::crop(&frame, &ALIGNED_112, 112, 0.5).expect("the template is a face");
        assert_eq!(wide.get_pixel(10, 56), &Rgb([0; 3]), "outside the frame");
        let Rgb([x, y, _]) = *wide.get_pixel(56, 70);
        assert!(x.abs_diff(56) <= 1 && y.abs_diff(84) <= 1, "{x} {y}");
    }

    #[test]
    fn a_square_is_cut_about_the_box() {
        let frame = ramp(100, 100);
        let b = BoundingBox { x1: 20.0, y1: 30.0, x2: 40.0, y2: 70.0 };
        let own = square(&frame, &b, None, 0.0).expect("has pixels");
        assert_eq!((own.dimensions(), own.get_pixel(0, 0)), ((40, 40), &Rgb([10, 30, 200])));
        assert_eq!(square(&frame, &b, None, 0.25).map(|own| own.dimensions()), Some((60, 60)));
        assert_eq!(square(&frame, &b, Some(20), 0.0).map(|small| small.dimensions()), Some((20, 20)));
        assert_eq!(square(&frame, &BoundingBox { x2: f32::NAN, y2: f32::NAN, ..b }, None, 0.0), None);
    }

    #[test]
    fn the_main_face_is_large_and_near_the_middle() {
        let face = |x1: f32, y1: f32, size: f32| Face {
            bounding_box: BoundingBox { x1, y1, x2: x1 + size, y2: y1 + size },
            score: 0.9,
            landmarks: ALIGNED_112,
        };
        let frame = ramp(100, 100);
        let faces = [face(0.0, 0.0, 30.0), face(35.0, 35.0, 30.0), face(60.0, 40.0, 32.0)];
        assert_eq!(main_face(&faces, &frame), Some(faces[1]));
        assert_eq!(main_face(&faces[..1], &frame), Some(faces[0]));
        assert_eq!(main_face(&[], &frame), None);
    }

    #[test]
    fn the_middle_is_half_of_a_photo_and_all_of_a_crop() {
        let half = middle(&ramp(100, 60), 30).expect("has pixels");
        assert_eq!((half.dimensions(), half.get_pixel(0, 0), half.get_pixel(29, 29)), ((30, 30), &Rgb([35, 15, 200]), &Rgb([64, 44, 200])));
        assert_eq!(middle(&ramp(40, 40), 40).map(|crop| *crop.get_pixel(0, 39)), Some(Rgb([0, 39, 200])));
        assert_eq!(middle(&ramp(1, 1), 8).map(|crop| crop.dimensions()), Some((8, 8)));
    }

    #[test]
    fn landmarks_without_a_map_give_no_crop() {
        assert_eq!(crop_112(&ramp(9, 9), &[Vec2::ONE; 5]), None);
        assert_eq!(crop_112(&ramp(9, 9), &[Vec2::NAN; 5]), None);
    }
}
