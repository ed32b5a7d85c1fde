//! Augmentation of a crop each time it is drawn (spec section 4.7), on bytes, before the nets' normalization.

use std::io::Cursor;

use glam::Vec2;
use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::imageops::{self, FilterType};
use image::{DynamicImage, RgbImage};

use super::random::Draw;
use super::window::Targets;
use crate::train::config::AugmentConfig;

/// Ranges of the JPEG quality, the share of the side that remains after downscaling, the standard deviation
/// of the blur in pixels, and that of the noise in byte values.
const QUALITY: [i64; 2] = [25, 90];
const SHRINK: [f64; 2] = [0.3, 0.9];
const BLUR: [f64; 2] = [0.4, 1.4];
const NOISE: [f64; 2] = [2.0, 14.0];
/// Range of the length of a motion blur, relative to the side of the crop.
const MOTION: [f64; 2] = [0.05, 0.2];
/// Range of the side of a patch, relative to the side of the crop.
const PATCH: [f64; 2] = [0.15, 0.5];

/// Augments `rgb`, a crop of `side x side` pixels, together with its targets, at random.
pub fn augment(rgb: &mut Vec<u8>, side: u32, targets: &mut Targets, config: &AugmentConfig, draw: &mut Draw) {
    if draw.chance(config.flip) {
        mirror(rgb, side);
        *targets = targets.mirrored();
    }
    if draw.chance(config.rotation) {
        let turn = (config.rotation_degrees.to_radians() as f32) * draw.bell();
        rotate(rgb, side, turn);
        *targets = targets.turned(turn);
    }
    if draw.chance(config.colour) {
        Colour::draw(config, draw).apply(rgb);
    }
    if draw.chance(config.grey) {
        for pixel in rgb.chunks_exact_mut(3) {
            pixel.fill(to_byte(luma(pixel)));
        }
    }
    if draw.chance(config.patch) {
        patch(rgb, side, draw);
    }
    if draw.chance(config.downscale) {
        let small = (f64::from(side) * draw.between(SHRINK[0], SHRINK[1])).round().max(2.0) as u32;
        with_image(rgb, side, |image| imageops::resize(&imageops::thumbnail(&image, small, small), side, side, FilterType::Triangle));
    }
    if draw.chance(config.blur) {
        let deviation = draw.between(BLUR[0], BLUR[1]) as f32;
        with_image(rgb, side, |image| imageops::blur(&image, deviation));
    }
    if draw.chance(config.motion) {
        let length = f64::from(side) * draw.between(MOTION[0], MOTION[1]);
        motion(rgb, side, Vec2::from_angle(draw.between(0.0, std::f64::consts::PI) as f32) * length as f32);
    }
    if draw.chance(config.noise) {
        let deviation = draw.between(NOISE[0], NOISE[1]) as f32;
        for byte in &mut *rgb {
            *byte = to_byte(f32::from(*byte) + deviation * draw.bell());
        }
    }
    if draw.chance(config.jpeg) {
        let quality = draw.whole(QUALITY[0], QUALITY[1]) as u8;
        with_image(rgb, side, |image| jpeg(&image, quality).unwrap_or(image));
    }
}

/// Rounds to the nearest byte. The cast saturates; calling a rounding function would cost more than
/// everything else here.
fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

pub fn mirror(rgb: &mut [u8], side: u32) {
    for row in rgb.chunks_exact_mut(3 * side as usize) {
        row.reverse();
        row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
    }
}

/// Rotates the crop about its middle by `turn` radians, clockwise on the screen; bilinear, with the edge
/// replicated.
fn rotate(rgb: &mut Vec<u8>, side: u32, turn: f32) {
    let (last, middle) = ((side - 1) as f32, side as f32 / 2.0);
    let back = Vec2::from_angle(-turn);
    let mut turned = Vec::with_capacity(rgb.len());
    for (y, x) in (0..side).flat_map(|y| (0..side).map(move |x| (y, x))) {
        // Centres of pixels are at half-integers.
        let from = (back.rotate(Vec2::new(x as f32, y as f32) + 0.5 - middle) + middle - 0.5).clamp(Vec2::ZERO, Vec2::splat(last));
        let first = from.floor().min(Vec2::splat((last - 1.0).max(0.0)));
        let part = from - first;
        let at = 3 * (first.y as usize * side as usize + first.x as usize);
        let (right, below) = (3 * usize::from(side > 1), 3 * usize::from(side > 1) * side as usize);
        for c in 0..3 {
            let texel = |offset: usize| f32::from(rgb[at + c + offset]);
            let (above, under) =
                (texel(0) + (texel(right) - texel(0)) * part.x, texel(below) + (texel(below + right) - texel(below)) * part.x);
            turned.push(to_byte(above + (under - above) * part.y));
        }
    }
    *rgb = turned;
}

/// Averages along a line of the length and direction of `path`, px, as a moving camera does; nearest pixels,
/// with the edge replicated.
fn motion(rgb: &mut Vec<u8>, side: u32, path: Vec2) {
    let (last, count) = (side as i32 - 1, path.length().ceil() as i32 + 1);
    let steps: Vec<[i32; 2]> =
        (0..count).map(|i| (path * (i as f32 / (count - 1).max(1) as f32 - 0.5)).round().as_ivec2().to_array()).collect();
    let texel = |x: i32, y: i32| 3 * (y.clamp(0, last) * side as i32 + x.clamp(0, last)) as usize;
    let mut moved = Vec::with_capacity(rgb.len());
    for (y, x) in (0..side as i32).flat_map(|y| (0..side as i32).map(move |x| (y, x))) {
        for c in 0..3 {
            let sum: u32 = steps.iter().map(|[dx, dy]| u32::from(rgb[texel(x + dx, y + dy) + c])).sum();
            moved.push(to_byte(sum as f32 / count as f32));
        }
    }
    *rgb = moved;
}

/// Covers a rectangle with one colour, as a hand or a scarf may cover a face.
fn patch(rgb: &mut [u8], side: u32, draw: &mut Draw) {
    let colour: [u8; 3] = std::array::from_fn(|_| draw.whole(0, 256) as u8);
    let [(left, right), (top, bottom)] = [(); 2].map(|()| {
        let length = (f64::from(side) * draw.between(PATCH[0], PATCH[1])).round() as i64;
        let first = draw.whole(0, i64::from(side) - length + 1);
        (first as usize, (first + length) as usize)
    });
    for row in rgb.chunks_exact_mut(3 * side as usize).take(bottom).skip(top) {
        row[3 * left..3 * right].chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&colour));
    }
}

fn with_image(rgb: &mut Vec<u8>, side: u32, change: impl FnOnce(RgbImage) -> RgbImage) {
    if let Some(image) = RgbImage::from_raw(side, side, std::mem::take(rgb)) {
        *rgb = change(image).into_raw();
    }
}

/// Returns `image` after JPEG compression; `None` if the codec fails.
fn jpeg(image: &RgbImage, quality: u8) -> Option<RgbImage> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, quality).encode_image(image).ok()?;
    Some(DynamicImage::from_decoder(JpegDecoder::new(Cursor::new(file)).ok()?).ok()?.into_rgb8())
}

/// Returns the luma of a pixel (ITU-R BT.601).
fn luma(pixel: &[u8]) -> f32 {
    0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2])
}

/// A colour change: contrast about the mean of each channel, brightness, hue, saturation, in this order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Colour {
    contrast: f32,
    brightness: f32,
    /// Rotation of the hue, in turns.
    hue: f32,
    saturation: f32,
}

impl Colour {
    fn draw(config: &AugmentConfig, draw: &mut Draw) -> Self {
        Self {
            contrast: draw.between(config.contrast[0], config.contrast[1]) as f32,
            brightness: draw.between(-config.brightness, config.brightness) as f32,
            hue: draw.between(-config.hue, config.hue) as f32,
            saturation: draw.between(config.saturation[0], config.saturation[1]) as f32,
        }
    }

    fn apply(self, rgb: &mut [u8]) {
        let pixels = (rgb.len() / 3).max(1) as f32;
        let mut means = [0_u32; 3];
        for pixel in rgb.chunks_exact(3) {
            (0..3).for_each(|c| means[c] += u32::from(pixel[c]));
        }
        let means = means.map(|sum| sum as f32 / pixels / 255.0);
        for pixel in rgb.chunks_exact_mut(3) {
            let light: [f32; 3] = std::array::from_fn(|c| {
                let value = f32::from(pixel[c]) / 255.0;
                ((value - means[c]) * self.contrast + means[c] + self.brightness).clamp(0.0, 1.0)
            });
            let changed = self.turn(light);
            (0..3).for_each(|c| pixel[c] = to_byte(changed[c] * 255.0));
        }
    }

    /// Changes hue and saturation in the HSV hexcone (Smith 1978); the value is unchanged.
    fn turn(self, [r, g, b]: [f32; 3]) -> [f32; 3] {
        let (value, least) = (r.max(g).max(b), r.min(g).min(b));
        let chroma = value - least;
        if chroma <= 0.0 {
            return [r, g, b];
        }
        // The hue is measured in sixths of a turn from red.
        let hue = if value == r {
            (g - b) / chroma
        } else if value == g {
            2.0 + (b - r) / chroma
        } else {
            4.0 + (r - g) / chroma
        };
        // One comparison is enough to wrap the hue; a remainder costs ten times as much.
        let wrapped = |sixths: f32| if sixths >= 6.0 { sixths - 6.0 } else { sixths };
        let hue = wrapped(if hue < 0.0 { hue + 6.0 } else { hue } + self.sixths());
        let chroma = (chroma * self.saturation).min(value);
        [5.0, 3.0, 1.0].map(|from| {
            let k = wrapped(from + hue);
            value - chroma * k.min(4.0 - k).clamp(0.0, 1.0)
        })
    }

    /// Returns the change of hue in sixths of a turn, in the range from 0 to 6.
    fn sixths(self) -> f32 {
        6.0 * (self.hue - self.hue.floor())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: AugmentConfig = AugmentConfig {
        flip: 0.0,
        colour: 0.0,
        contrast: [1.0, 1.0],
        saturation: [1.0, 1.0],
        brightness: 0.0,
        hue: 0.0,
        grey: 0.0,
        blur: 0.0,
        motion: 0.0,
        noise: 0.0,
        jpeg: 0.0,
        downscale: 0.0,
        patch: 0.0,
        rotation: 0.0,
        rotation_degrees: 0.0,
    };
    const SAME: Colour = Colour { contrast: 1.0, brightness: 0.0, hue: 0.0, saturation: 1.0 };

    fn crop(side: u32) -> Vec<u8> {
        let mut draw = Draw::new(&[3]);
        let smooth = |x: u32, y: u32| [80 + 5 * x, 60 + 4 * y, 120 + 2 * x + y].map(i64::from);
        let byte = |v: i64| (v + draw.whole(-4, 5)).clamp(0, 255) as u8;
        (0..side * side).flat_map(|i| smooth(i % side, i / side)).map(byte).collect()
    }

    fn changed(config: &AugmentConfig) -> (Vec<u8>, Targets) {
        let (mut rgb, mut targets) = (crop(24), Targets::default().with_box([0.1, 0.2, 0.3, 0.4]));
        augment(&mut rgb, 24, &mut targets, config, &mut Draw::new(&[9]));
        (rgb, targets)
    }

    #[test]
    fn without_any_change_a_crop_stays() {
        assert_eq!(changed(&OFF).0, crop(24));
        let mut rgb = crop(24);
        SAME.apply(&mut rgb);
        assert_eq!(rgb, crop(24), "a change of colour by nothing");
    }

    #[test]
    fn a_flip_takes_pixels_and_targets_along() {
        let (rgb, targets) = changed(&AugmentConfig { flip: 1.0, ..OFF });
        let was = crop(24);
        for (x, y) in (0..24).flat_map(|y| (0..24).map(move |x| (x, y))) {
            assert_eq!(rgb[3 * (y * 24 + x)..][..3], was[3 * (y * 24 + 23 - x)..][..3]);
        }
        assert_eq!(targets.values[..4], [-0.3, 0.2, -0.1, 0.4]);
    }

    #[test]
    fn a_turn_takes_pixels_and_targets_along() {
        let dot = Targets::default().with_landmarks([10.5 / 24.0, 0.5, 0.5, 0.5, 0.5, 4.5 / 24.0, 0.5, 0.5, 0.5, 0.5]);
        let mut rgb = vec![0; 24 * 24 * 3];
        rgb[3 * (4 * 24 + 10)..][..3].fill(255);
        rotate(&mut rgb, 24, std::f32::consts::FRAC_PI_2);
        let points = dot.turned(std::f32::consts::FRAC_PI_2).values;
        // The y axis points down: a quarter turn moves the top to the right.
        let (x, y) = ((points[4] * 24.0) as usize, (points[9] * 24.0) as usize);
        assert_eq!((x, y), (19, 10));
        assert!(rgb[3 * (y * 24 + x)] > 250, "the dot went with its point");
        assert_eq!(rgb.iter().map(|byte| u32::from(*byte)).sum::<u32>() / 255, 3);
        let mut one = vec![9, 8, 7];
        rotate(&mut one, 1, 1.0);
        assert_eq!(one, [9, 8, 7]);
        // A centred box is unchanged; any other box moves round the middle and keeps its size.
        assert_eq!(Targets::default().with_box([0.1, 0.2, -0.1, -0.2]).turned(0.7).values[..4], [0.1, 0.2, -0.1, -0.2]);
        let b = Targets::default().with_box([0.5, 0.25, 0.0, -0.25]).turned(std::f32::consts::FRAC_PI_2).values;
        let near = b[..4].iter().zip([0.25, 0.5, -0.25, 0.0]).all(|(got, want)| (got - want).abs() < 1e-6);
        assert!(near, "{b:?}");
        let (rgb, targets) = changed(&AugmentConfig { rotation: 1.0, rotation_degrees: 9.0, ..OFF });
        assert_ne!(rgb, crop(24));
        assert_ne!(targets, changed(&OFF).1);
    }

    #[test]
    fn a_patch_covers_a_part_in_one_colour() {
        let was = crop(24);
        for seed in 0..50 {
            let mut rgb = was.clone();
            patch(&mut rgb, 24, &mut Draw::new(&[seed]));
            let covered: Vec<&[u8]> =
                rgb.chunks_exact(3).zip(was.chunks_exact(3)).filter(|(is, was)| is != was).map(|(is, _)| is).collect();
            assert!(covered.windows(2).all(|two| two[0] == two[1]), "one colour");
            // The patch has between 4 x 4 and 12 x 12 pixels; one of them may have had the colour before.
            assert!((15..=144).contains(&covered.len()), "{}", covered.len());
        }
        let mut one = vec![1, 2, 3];
        patch(&mut one, 1, &mut Draw::new(&[1]));
    }

    #[test]
    fn a_motion_smears_along_its_path_alone() {
        let mut rgb = vec![0; 24 * 24 * 3];
        rgb[3 * (10 * 24 + 12)..][..3].fill(250);
        motion(&mut rgb, 24, Vec2::new(4.0, 0.0));
        let lit = |x: usize| rgb[3 * (10 * 24 + x)];
        assert_eq!((9..16).map(lit).collect::<Vec<_>>(), [0, 50, 50, 50, 50, 50, 0]);
        assert_eq!(rgb.iter().map(|byte| u32::from(*byte)).sum::<u32>(), 3 * 250);
        let mut one = vec![9, 8, 7];
        motion(&mut one, 1, Vec2::ZERO);
        assert_eq!(one, [9, 8, 7]);
    }

    #[test]
    fn colours_turn_as_the_circle_does() {
        let turned = |hue: f32, rgb: [f32; 3]| Colour { hue, ..SAME }.turn(rgb);
        let near = |got: [f32; 3], want: [f32; 3]| got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-6);
        assert!(near(turned(1.0 / 3.0, [1.0, 0.0, 0.0]), [0.0, 1.0, 0.0]));
        assert!(near(turned(-1.0 / 3.0, [1.0, 0.0, 0.0]), [0.0, 0.0, 1.0]));
        assert!(near(turned(1.0 / 6.0, [0.8, 0.2, 0.2]), [0.8, 0.8, 0.2]));
        assert!(near(turned(0.3, [0.4; 3]), [0.4; 3]));
        assert!(near(Colour { saturation: 0.5, ..SAME }.turn([0.8, 0.4, 0.0]), [0.8, 0.6, 0.4]));
        let mut grey = vec![100, 100, 100, 200, 200, 200];
        Colour { contrast: 0.5, brightness: 0.1, ..SAME }.apply(&mut grey);
        // The mean is 150: contrast gives 125 and 175, brightness adds 25.5.
        assert_eq!(grey, [151, 151, 151, 201, 201, 201]);
    }

    #[test]
    fn every_loss_of_quality_changes_a_crop_a_little() {
        let was = crop(24);
        for (name, config) in [
            ("blur", AugmentConfig { blur: 1.0, ..OFF }),
            ("motion", AugmentConfig { motion: 1.0, ..OFF }),
            ("noise", AugmentConfig { noise: 1.0, ..OFF }),
            ("jpeg", AugmentConfig { jpeg: 1.0, ..OFF }),
            ("downscale", AugmentConfig { downscale: 1.0, ..OFF }),
        ] {
            let (rgb, _) = changed(&config);
            assert_eq!(rgb.len(), was.len(), "{name}");
            let differences = rgb.iter().zip(&was).map(|(a, b)| f64::from(a.abs_diff(*b)));
            let mean = differences.sum::<f64>() / was.len() as f64;
            assert!(mean > 0.3 && mean < 16.0, "{name}: {mean}");
        }
        let (grey, _) = changed(&AugmentConfig { grey: 1.0, ..OFF });
        assert!(grey.chunks_exact(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
        assert_ne!(grey, was);
    }
}
