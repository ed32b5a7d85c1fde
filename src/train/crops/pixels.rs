//! Windows cut out of an image and brought to a net's size, as the detector would do it.

use bytemuck::{cast_slice, cast_slice_mut};

use super::law::Cut;
use super::window::CropWindow;
use crate::cascade::Frame;
use crate::kernels::image::Crop;
use crate::kernels::select::Candidate;
use crate::record::Kernel as _;

/// `cuts` of `frame` at `side x side` pixels, one after the other, rows of R, G, B: area average on shrinking, bilinear on growing, black
/// outside, as the cascade crops (spec sections 3.2 and 3.4), so that the nets learn from what they will see.
pub fn cut(frame: &Frame, cuts: &[Cut], side: u32) -> Vec<u8> {
    let item = (side * side * 3) as usize;
    let mut rgb = vec![0; cuts.len() * item];
    let straight: Vec<usize> = (0..cuts.len()).filter(|&i| cuts[i].turn == 0.0).collect();
    let windows: Vec<CropWindow> = straight.iter().map(|&i| cuts[i].window).collect();
    for (at, crop) in straight.into_iter().zip(resample(frame, &windows, side).chunks_exact(item)) {
        rgb[at * item..][..item].copy_from_slice(crop);
    }
    for (cut, crop) in cuts.iter().zip(rgb.chunks_exact_mut(item)).filter(|(cut, _)| cut.turn != 0.0) {
        if let Some(turned) = turned(frame, cut) {
            let whole = CropWindow { x: 0, y: 0, side: cut.window.side };
            crop.copy_from_slice(&resample(&turned, &[whole], side));
        }
    }
    rgb
}

/// Crops by the detector's own kernel, back from its normalised planes to bytes.
fn resample(frame: &Frame, windows: &[CropWindow], side: u32) -> Vec<u8> {
    // The cascade's boxes have inclusive corners that count from 1.
    let corners = |w: &CropWindow| [w.x + 1, w.y + 1, w.x.saturating_add(w.side), w.y.saturating_add(w.side)].map(|v| v as f32);
    let candidates: Vec<Candidate> = windows.iter().map(|window| Candidate::new(corners(window), 1.0, 0.0)).collect();
    let plane = (side * side) as usize;
    let mut crops = vec![0.0; windows.len() * 3 * plane];
    let count = windows.len() as u32;
    // One image with one list, of which all are there.
    let kernel = Crop::new([1, count, 0], [frame.width(), frame.height()], [0, count], side, false);
    let counters = [count, count, 0, 0];
    let mut packed = vec![0.0_f32; frame.rgba().len() / 4];
    cast_slice_mut(&mut packed).copy_from_slice(frame.rgba());
    kernel.native(count, &[&packed, cast_slice(&candidates), cast_slice(&counters)], &mut [&mut crops]);
    let byte = |value: f32| (value * 128.0 + 127.5).round() as u8;
    crops.chunks_exact(3 * plane).flat_map(|crop| (0..3 * plane).map(move |i| byte(crop[i % 3 * plane + i / 3]))).collect()
}

/// The window of `cut` at its own size, out of the image turned about the cut's middle; bilinear, black outside. `None` for one too large.
fn turned(frame: &Frame, cut: &Cut) -> Option<Frame> {
    let (side, back) = (u32::try_from(cut.window.side).ok().filter(|side| *side <= 1 << 14)?, glam::Vec2::from_angle(-cut.turn));
    let (width, height) = (i64::from(frame.width()), i64::from(frame.height()));
    let texel = |x: i64, y: i64| -> [f32; 3] {
        if !(0..width).contains(&x) || !(0..height).contains(&y) {
            return [0.0; 3];
        }
        let at = 4 * (y * width + x) as usize;
        std::array::from_fn(|c| f32::from(frame.rgba()[at + c]))
    };
    let origin = glam::Vec2::new(cut.window.x as f32, cut.window.y as f32);
    let mut rgba = Vec::with_capacity((side * side * 4) as usize);
    for (row, column) in (0..side).flat_map(|row| (0..side).map(move |column| (row, column))) {
        let seen = origin + glam::Vec2::new(column as f32, row as f32) + 0.5;
        // Centres of pixels lie at halves.
        let from = cut.about + back.rotate(seen - cut.about) - 0.5;
        let (first, part) = (from.floor(), from - from.floor());
        let (x, y) = (first.x as i64, first.y as i64);
        let [a, b, c, d] = [texel(x, y), texel(x + 1, y), texel(x, y + 1), texel(x + 1, y + 1)];
        for i in 0..3 {
            let (above, below) = (a[i] + (b[i] - a[i]) * part.x, c[i] + (d[i] - c[i]) * part.x);
            rgba.push((above + (below - above) * part.y).round() as u8);
        }
        rgba.push(255);
    }
    Frame::from_rgba(side, side, rgba)
}

#[cfg(test)]
mod tests {
    use super::super::window::{SampleKind, Targets};
    use super::*;

    /// Red counts columns, green rows.
    fn frame(width: u32, height: u32) -> Frame {
        let rgba = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7, 255])).collect();
        Frame::from_rgba(width, height, rgba).unwrap()
    }

    fn plain(window: CropWindow) -> Cut {
        Cut { window, sample: SampleKind::Negative, targets: Targets::default(), turn: 0.0, about: glam::Vec2::ZERO }
    }

    #[test]
    fn a_window_of_the_nets_size_is_copied_and_black_lies_outside() {
        let rgb = cut(&frame(40, 30), &[plain(CropWindow { x: 3, y: 5, side: 12 }), plain(CropWindow { x: -2, y: 25, side: 12 })], 12);
        for (i, pixel) in rgb.chunks_exact(3).enumerate() {
            let (crop, x, y) = (i / 144, i % 12, i % 144 / 12);
            let want = match crop {
                0 => [3 + x as u8, 5 + y as u8, 7],
                _ if x < 2 || y >= 5 => [0, 0, 0],
                _ => [x as u8 - 2, 25 + y as u8, 7],
            };
            assert_eq!(pixel, want, "crop {crop} at {x}, {y}");
        }
    }

    #[test]
    fn a_larger_window_is_averaged() {
        let rgb = cut(&frame(100, 100), &[plain(CropWindow { x: 10, y: 20, side: 36 })], 12);
        // Means of three neighbours.
        let want: Vec<u8> = (0..144).flat_map(|i| [11 + 3 * (i % 12) as u8, 21 + 3 * (i / 12) as u8, 7]).collect();
        assert_eq!(rgb, want);
    }

    #[test]
    fn a_quarter_turn_takes_right_to_below() {
        let window = CropWindow { x: 10, y: 10, side: 12 };
        let about = glam::Vec2::splat(16.0);
        let turned = Cut { turn: std::f32::consts::FRAC_PI_2, about, ..plain(window) };
        let (was, is) = (cut(&frame(40, 40), &[plain(window)], 12), cut(&frame(40, 40), &[turned], 12));
        for (x, y) in (0..12).flat_map(|y| (0..12).map(move |x| (x, y))) {
            // y points down: what lay at (x, y) from the middle lies at (-y, x) now.
            let (from, to) = (3 * (y * 12 + x), 3 * (x * 12 + 11 - y));
            assert_eq!(was[from..from + 3], is[to..to + 3], "{x}, {y}");
        }
    }
}
