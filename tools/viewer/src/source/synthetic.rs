//! A scene without a camera: the public-domain portrait wandering over a gradient at changing size. Frame `n`
//! is always the same.

use std::time::Duration;

use image::{RgbImage, imageops};
use mtcmcn::Frame;

use super::{Picture, Source, SourceError};

/// Columns and rows of the scene, px.
const SCENE: [u32; 2] = [640, 480];

/// The scene's frames, 30 a second.
#[derive(Debug)]
pub struct Synthetic {
    /// The portrait at a few sizes, so that a frame costs one copy and not one resampling.
    portraits: Vec<RgbImage>,
    background: Vec<u8>,
    next: u64,
}

/// Sides of the portrait, px: its face is about a third as wide.
const SIDES: [u32; 12] = [160, 176, 194, 214, 236, 260, 286, 314, 346, 380, 418, 460];

impl Synthetic {
    /// The scene from frame 0 on.
    ///
    /// # Errors
    ///
    /// [`SourceError::Portrait`]; not with the portrait as it is.
    pub fn new() -> Result<Self, SourceError> {
        let bytes = include_bytes!("../../../../assets/astronaut.png");
        let portrait = image::load_from_memory(bytes).map_err(|error| SourceError::Portrait(error.to_string()))?.into_rgb8();
        let portraits = SIDES.map(|side| imageops::resize(&portrait, side, side, imageops::FilterType::Triangle)).to_vec();
        Ok(Self { portraits, background: background(), next: 0 })
    }

    /// Frame `n`.
    pub fn frame(&self, n: u64) -> Option<Frame> {
        let mut pixels = self.background.clone();
        let (portrait, [left, top]) = self.place(n);
        let row = portrait.width() as usize;
        for (y, line) in portrait.as_raw().chunks_exact(row * 3).enumerate() {
            let start = ((top as usize + y) * SCENE[0] as usize + left as usize) * 4;
            for (pixel, rgb) in pixels[start..start + row * 4].chunks_exact_mut(4).zip(line.chunks_exact(3)) {
                pixel[..3].copy_from_slice(rgb);
            }
        }
        Frame::from_rgba(SCENE[0], SCENE[1], pixels)
    }

    /// The portrait's size and top-left pixel at frame `n`: three slow waves whose periods share no small
    /// multiple.
    fn place(&self, n: u64) -> (&RgbImage, [u32; 2]) {
        let wave = |period: f64| 0.5 + 0.5 * (std::f64::consts::TAU * n as f64 / period).sin();
        let index = (wave(419.0) * (self.portraits.len() - 1) as f64).round() as usize;
        let portrait = &self.portraits[index.min(self.portraits.len() - 1)];
        let room = |scene: u32, side: u32| f64::from(scene - side);
        let left = (wave(263.0) * room(SCENE[0], portrait.width())).round() as u32;
        let top = (wave(337.0) * room(SCENE[1], portrait.height())).round() as u32;
        (portrait, [left, top])
    }
}

impl Source for Synthetic {
    fn next(&mut self) -> Result<Option<Picture>, SourceError> {
        let n = self.next;
        self.next += 1;
        Ok(self.frame(n).map(|frame| Picture { frame, name: format!("synthetic #{n}") }))
    }

    fn pace(&self) -> Duration {
        Duration::from_micros(33_333)
    }

    fn skip(&mut self, by: i64) {
        self.next = self.next.saturating_add_signed(by);
    }
}

/// A gradient with soft checks, so that the search has something to refuse.
fn background() -> Vec<u8> {
    let (width, height) = (SCENE[0], SCENE[1]);
    (0..height)
        .flat_map(|y| {
            (0..width).flat_map(move |x| {
                let check = if (x / 40 + y / 40) % 2 == 0 { 18 } else { 0 };
                [(60 + x * 90 / width + check) as u8, (70 + y * 80 / height + check) as u8, (120 - x * 50 / width + check) as u8, 255]
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portrait_stays_inside_and_changes_place_and_size() {
        let scene = Synthetic::new().expect("the portrait is there");
        let (mut sides, mut lefts) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for n in (0..5000).step_by(7).chain([u64::MAX]) {
            let (portrait, [left, top]) = scene.place(n);
            assert!(left + portrait.width() <= SCENE[0] && top + portrait.height() <= SCENE[1], "frame {n}");
            sides.insert(portrait.width());
            lefts.insert(left);
        }
        assert!(sides.len() == SIDES.len() && lefts.len() > 50, "{sides:?}");
    }

    #[test]
    fn frames_depend_on_their_number_alone() {
        let mut scene = Synthetic::new().expect("the portrait is there");
        let first = scene.next().expect("frames do not end").expect("frames do not end");
        scene.skip(99);
        let later = scene.next().expect("frames do not end").expect("frames do not end");
        assert_eq!((later.name.as_str(), &later.frame), ("synthetic #100", &scene.frame(100).expect("a frame")));
        assert_ne!(first.frame, later.frame);
    }
}
