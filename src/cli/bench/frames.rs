//! What is searched: images of the user's, or a synthetic scene that is the same on every machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use image::imageops::{self, FilterType};
use image::{Rgba, RgbaImage};
use mtcmcn::Frame;
use mtcmcn::tensor::noise;

use super::args::Size;
use crate::cli::{decode, explain, input};

/// The head of `assets/astronaut.png`: a face of 89 x 115 px in 168 x 208.
const PORTRAIT: &[u8] = include_bytes!("../../../assets/portrait.png");

/// Images larger than this are refused.
const MAX_PIXELS: u64 = 300_000_000;

/// Sizes of the synthetic scene where none is asked for.
const SIZES: [Size; 3] = [Size { width: 640, height: 480 }, Size { width: 1280, height: 720 }, Size { width: 1920, height: 1080 }];

/// Frames of one size.
pub struct Group {
    pub size: Size,
    pub frames: Vec<Frame>,
}

/// What is to be searched, smallest first.
pub struct FrameSource {
    /// For people.
    pub name: String,
    pub groups: Vec<Group>,
    /// Inputs that gave no frame, with the reason.
    pub refused: Vec<(PathBuf, String)>,
}

impl FrameSource {
    /// The images of `paths`, or without any the synthetic scene, at `sizes`.
    ///
    /// # Errors
    ///
    /// If no frame is left.
    pub fn open(paths: &[PathBuf], sizes: &[Size]) -> Result<Self> {
        if paths.is_empty() {
            let sizes = if sizes.is_empty() { &SIZES } else { sizes };
            let scene = |&size| Ok(Group { size, frames: vec![synthetic(size)?] });
            let groups = unique(sizes).iter().map(scene).collect::<Result<_>>()?;
            return Ok(Self { name: "synthetic scene".to_owned(), groups, refused: Vec::new() });
        }
        let mut groups: BTreeMap<Size, Vec<Frame>> = BTreeMap::new();
        let (mut refused, mut read) = (Vec::new(), 0);
        for input in input::expand(paths, None, &[]) {
            let image = match input {
                Ok(image) => image,
                Err(unreadable) => {
                    refused.push((unreadable.path, unreadable.error));
                    continue;
                }
            };
            match decode::read(&image.path, MAX_PIXELS) {
                Ok(frame) if sizes.is_empty() => groups.entry(size_of(&frame)).or_default().push(frame),
                Ok(frame) => {
                    for size in unique(sizes) {
                        groups.entry(size).or_default().push(fitted(&frame, size)?);
                    }
                }
                Err(error) => {
                    refused.push((image.path, explain(&error.into())));
                    continue;
                }
            }
            read += 1;
        }
        let name = if let ([path], 1) = (paths, read) { path.display().to_string() } else { format!("{read} images") };
        let groups = groups.into_iter().map(|(size, frames)| Group { size, frames }).collect();
        Ok(Self { name, groups, refused })
    }
}

fn unique(sizes: &[Size]) -> Vec<Size> {
    let mut sizes = sizes.to_vec();
    sizes.sort_unstable_by_key(|size| (u64::from(size.width) * u64::from(size.height), size.width));
    sizes.dedup();
    sizes
}

fn size_of(frame: &Frame) -> Size {
    Size { width: frame.width(), height: frame.height() }
}

fn picture(frame: &Frame) -> Result<RgbaImage> {
    RgbaImage::from_raw(frame.width(), frame.height(), frame.rgba().to_vec()).context("a frame has four bytes a pixel")
}

fn frame(image: RgbaImage) -> Result<Frame> {
    let (width, height) = image.dimensions();
    Frame::from_rgba(width, height, image.into_raw()).context("the frame has no pixels")
}

/// `from` as large as fits into `size`, centred on grey.
fn fitted(from: &Frame, size: Size) -> Result<Frame> {
    let (width, height) = (from.width(), from.height());
    let scale = (f64::from(size.width) / f64::from(width)).min(f64::from(size.height) / f64::from(height));
    let side = |from: u32, most: u32| ((f64::from(from) * scale).round() as u32).clamp(1, most);
    let (width, height) = (side(width, size.width), side(height, size.height));
    let scaled = imageops::resize(&picture(from)?, width, height, FilterType::Triangle);
    let mut canvas = RgbaImage::from_pixel(size.width, size.height, Rgba([128, 128, 128, 255]));
    imageops::overlay(&mut canvas, &scaled, i64::from((size.width - width) / 2), i64::from((size.height - height) / 2));
    frame(canvas)
}

/// Where portraits are pasted: centre and height as fractions of the frame's width and height.
const PLACES: [[f64; 3]; 8] = [
    [0.17, 0.30, 0.48],
    [0.45, 0.22, 0.32],
    [0.68, 0.18, 0.22],
    [0.86, 0.15, 0.16],
    [0.60, 0.62, 0.40],
    [0.84, 0.55, 0.26],
    [0.36, 0.70, 0.19],
    [0.20, 0.80, 0.13],
];

/// The portrait at eight sizes on a background of noise with structure at all scales, which some of P-Net's
/// windows take for faces.
pub fn synthetic(size: Size) -> Result<Frame> {
    let Size { width, height } = size;
    let mut canvas = RgbaImage::from_pixel(width, height, Rgba([118, 112, 104, 255]));
    for (seed, (cell, amplitude)) in (1..).zip([(96, 34.0), (32, 26.0), (11, 22.0), (4, 12.0)]) {
        let (columns, rows) = (width.div_ceil(cell) + 1, height.div_ceil(cell) + 1);
        let values = noise((columns * rows * 3) as usize, seed);
        let byte = |value: f32| (128.0 + 127.0 * value) as u8;
        let coarse = RgbaImage::from_fn(columns, rows, |x, y| {
            let at = ((y * columns + x) * 3) as usize;
            // Mostly grey: hues change less than brightness in photographs.
            let [r, g, b] = [0, 1, 2].map(|c| byte(0.75 * values[at] + 0.25 * values[at + c]));
            Rgba([r, g, b, 255])
        });
        let octave = imageops::resize(&coarse, columns * cell, rows * cell, FilterType::CatmullRom);
        for (x, y, pixel) in canvas.enumerate_pixels_mut() {
            let more = octave.get_pixel(x, y);
            for c in 0..3 {
                pixel.0[c] = (f32::from(pixel.0[c]) + amplitude * (f32::from(more.0[c]) - 128.0) / 127.0).clamp(0.0, 255.0) as u8;
            }
        }
    }
    let portrait = image::load_from_memory(PORTRAIT).context("the portrait in the program is damaged")?.into_rgba8();
    for [x, y, part] in PLACES {
        let scale = part * f64::from(height) / f64::from(portrait.height());
        let side = |of: u32| ((f64::from(of) * scale).round() as u32).max(1);
        let (w, h) = (side(portrait.width()), side(portrait.height()));
        let pasted = imageops::resize(&portrait, w, h, FilterType::CatmullRom);
        let corner = |centre: f64, of: u32, side: u32| (centre * f64::from(of)).round() as i64 - i64::from(side / 2);
        imageops::overlay(&mut canvas, &pasted, corner(x, width, w), corner(y, height, h));
    }
    frame(canvas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scene_is_the_same_every_time_and_fills_its_frame() {
        let size = Size { width: 320, height: 240 };
        let [a, b] = [synthetic(size), synthetic(size)].map(|frame| frame.expect("can be drawn"));
        assert_eq!(a, b);
        assert_eq!(size_of(&a), size);
        let mut seen = std::collections::BTreeSet::new();
        seen.extend(a.rgba().chunks_exact(4));
        assert!(seen.len() > 10_000, "only {} colours", seen.len());
    }

    #[test]
    fn an_image_is_scaled_to_fit_and_centred() {
        let white = frame(RgbaImage::from_pixel(40, 20, Rgba([255; 4]))).expect("has pixels");
        let fitted = fitted(&white, Size { width: 80, height: 80 }).expect("has pixels");
        let row = |y: usize| fitted.rgba()[y * 80 * 4];
        assert_eq!((row(0), row(19), row(20), row(59), row(60)), (128, 128, 255, 255, 128));
    }
}
