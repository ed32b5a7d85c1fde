//! A part of an image with annotations and detections drawn over it.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context as _, Result};
use glam::Vec2;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use mtcmcn::geometry::BoundingBox;

use super::figures::{Example, MarkRole, MarkShape};
use super::source::locate;
use crate::cli::decode;

/// Longer side of a picture, px.
const SIDE: u32 = 300;
/// What is shown around the thing itself, in its own sides.
const AROUND: f32 = 0.9;
/// More pixels than this are not decoded for an example.
const MAX_PIXELS: u64 = 200_000_000;

const TRUTH: Rgb<u8> = Rgb([60, 230, 90]);
const FOUND: Rgb<u8> = Rgb([255, 70, 60]);
const RIM: Rgb<u8> = Rgb([0, 0, 0]);

/// The part of the image that `example` is about, as a JPEG file.
///
/// # Errors
///
/// If the image cannot be read, or the focus is outside it.
pub fn jpeg(folder: &Path, example: &Example) -> Result<Vec<u8>> {
    let frame = decode::read(&locate(folder, &example.path), MAX_PIXELS)?;
    let (width, height) = (frame.width(), frame.height());
    let focus = example.focus;
    let room = focus.width().max(focus.height()).max(24.0) * AROUND;
    let wide = BoundingBox { x1: focus.x1 - room, y1: focus.y1 - room, x2: focus.x2 + room, y2: focus.y2 + room }.clipped(width, height);
    let [left, top] = [wide.x1, wide.y1].map(|edge| edge.floor() as u32);
    let [right, bottom] = [wide.x2, wide.y2].map(|edge| edge.ceil() as u32);
    if left >= right || top >= bottom {
        anyhow::bail!("it lies outside the image");
    }
    let crop = RgbImage::from_fn(right - left, bottom - top, |x, y| {
        let at = ((y + top) as usize * width as usize + (x + left) as usize) * 4;
        Rgb([frame.rgba()[at], frame.rgba()[at + 1], frame.rgba()[at + 2]])
    });
    let scale = SIDE as f32 / crop.width().max(crop.height()) as f32;
    let sized = |side: u32| ((side as f32 * scale).round() as u32).max(1);
    let mut picture = imageops::resize(&crop, sized(crop.width()), sized(crop.height()), FilterType::CatmullRom);
    let place = |point: Vec2| (point - Vec2::new(left as f32, top as f32)) * scale;
    for (role, shape) in &example.marks {
        draw(&mut picture, *role, shape, place);
    }
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(Cursor::new(&mut bytes), 88)).context("as JPEG")?;
    Ok(bytes)
}

fn draw(picture: &mut RgbImage, role: MarkRole, shape: &MarkShape, place: impl Fn(Vec2) -> Vec2) {
    let colour = if role == MarkRole::Truth { TRUTH } else { FOUND };
    match shape {
        MarkShape::Box(b) => {
            let corners = [(b.x1, b.y1), (b.x2, b.y1), (b.x2, b.y2), (b.x1, b.y2)];
            outline(picture, &corners.map(|corner| place(corner.into())), colour);
        }
        MarkShape::Ellipse(e) => {
            let (sin, cos) = (e.angle.sin(), e.angle.cos());
            let around: Vec<Vec2> = (0..64)
                .map(|step| {
                    let (v, u) = (f64::from(step) * std::f64::consts::TAU / 64.0).sin_cos();
                    let (u, v) = (u * e.major_radius, v * e.minor_radius);
                    place(Vec2::new((e.x + u * cos - v * sin) as f32, (e.y + u * sin + v * cos) as f32))
                })
                .collect();
            outline(picture, &around, colour);
        }
        MarkShape::Points(points) => {
            for (radius, ink) in [(4.5, RIM), (3.0, colour)] {
                points.iter().for_each(|point| dot(picture, place(*point), radius, ink));
            }
        }
    }
}

/// The closed line through `corners`, with a dark rim.
fn outline(picture: &mut RgbImage, corners: &[Vec2], colour: Rgb<u8>) {
    for (radius, ink) in [(2.0, RIM), (1.2, colour)] {
        for (index, &from) in corners.iter().enumerate() {
            let to = corners[(index + 1) % corners.len()];
            // What is far outside is not walked along.
            let steps = (to - from).abs().max_element().clamp(1.0, 8.0 * SIDE as f32) as u32;
            for step in 0..=steps {
                dot(picture, from.lerp(to, step as f32 / steps as f32), radius, ink);
            }
        }
    }
}

fn dot(picture: &mut RgbImage, at: Vec2, radius: f32, colour: Rgb<u8>) {
    let span =
        |centre: f32, side: u32| ((centre - radius).floor().max(0.0) as u32)..((centre + radius).ceil().clamp(0.0, side as f32) as u32);
    for y in span(at.y, picture.height()) {
        for x in span(at.x, picture.width()) {
            if Vec2::new(x as f32 + 0.5, y as f32 + 0.5).distance_squared(at) <= radius * radius {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}
