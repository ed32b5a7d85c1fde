//! Vertical half of resampling a frame to pyramid bands.

use rayon::prelude::*;

use super::taps::{most_taps, taps};
use super::{Band, rgb};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Simd, SumRows, Taps};
use crate::tensor::noise;

crate::uniform! {
    /// Computes the byte-valued rows of pyramid bands, as wide as the frame.
    ///
    /// Reads the packed frames and `bands: [Band]`; writes `y: [images, 3, rows of all bands, frame_w]`.
    pub struct ResampleRows { images: u32, frame_w: u32, frame_h: u32, bands: u32, y_plane: u32, bilinear: u32 }
}

/// Columns per invocation.
const COLUMNS: u32 = 4;

impl ResampleRows {
    /// Creates the kernel for the rows of `bands` in each of `images` frames of `frame_w x frame_h`.
    pub fn new(images: u32, [frame_w, frame_h]: [u32; 2], bands: &[Band], bilinear: bool) -> Self {
        let rows: u32 = bands.iter().map(|band| band.rows).sum();
        Self { images, frame_w, frame_h, bands: bands.len() as u32, y_plane: rows * frame_w, bilinear: u32::from(bilinear) }
    }

    fn line(&self, band: &Band, row: u32) -> impl Iterator<Item = (usize, f64)> {
        taps(band.first + row, self.frame_h, band.level_h, self.bilinear == 1)
    }
}

impl ResampleRows {
    /// Computes one image, a row at a time.
    fn image_by_rows(&self, frame: &[u32], bands: &[Band], y: &mut [f32]) {
        let width = self.frame_w as usize;
        let (red, rest) = y.split_at_mut(self.y_plane as usize);
        let (green, blue) = rest.split_at_mut(self.y_plane as usize);
        let simd = Simd::chosen();
        let mut taps = Taps::default();
        let mut lines = Vec::new();
        for band in bands {
            for row in 0..band.rows {
                lines.push(taps.len());
                taps.push(self.line(band, row).map(|(j, weight)| (j, weight as f32)));
            }
        }
        let planes = red.par_chunks_mut(width).zip(green.par_chunks_mut(width)).zip(blue.par_chunks_mut(width));
        planes.zip(lines).with_min_len(16).for_each(|(((red, green), blue), line)| {
            simd.run(SumRows { pixels: frame, stride: width, left: 0, taps: taps.get(line), planes: [red, green, blue] });
        });
    }
}

impl Kernel for ResampleRows {
    const NAME: &'static str = "resample_rows";
    const WGSL: &'static [&'static str] = wgsl!("image/resample_rows", "shared/taps");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.y_plane / self.frame_w * self.frame_w.div_ceil(COLUMNS)) }
    }

    fn sizes(&self) -> Vec<usize> {
        let images = self.images as usize;
        vec![images * (self.frame_w * self.frame_h) as usize, self.bands as usize * 6, images * self.y_plane as usize * 3]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (frames, bands): (&[u32], &[Band]) = (bytemuck::cast_slice(read[0]), bytemuck::cast_slice(read[1]));
        let (width, plane) = (self.frame_w as usize, self.y_plane as usize);
        for (frame, y) in frames.chunks(width * self.frame_h as usize).zip(write[0].chunks_mut(3 * plane)).take(self.images as usize) {
            let rows = bands[..self.bands as usize].iter().flat_map(|band| (0..band.rows).map(move |row| (band, row)));
            for ((band, row), column) in rows.flat_map(|row| (0..width).map(move |column| (row, column))) {
                let mut sum = [0.0; 3];
                for (j, weight) in self.line(band, row) {
                    let texel = rgb(frame[j * width + column]);
                    (0..3).for_each(|c| sum[c] += weight * texel[c]);
                }
                let at = (band.row + row) as usize * width + column;
                (0..3).for_each(|c| y[c * plane + at] = sum[c] as f32);
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let (frames, bands): (&[u32], &[Band]) = (bytemuck::cast_slice(read[0]), bytemuck::cast_slice(read[1]));
        let (pixels, planes) = ((self.frame_w * self.frame_h) as usize, 3 * self.y_plane as usize);
        let images = frames.chunks(pixels).zip(write[0].chunks_mut(planes)).take(self.images as usize);
        images.for_each(|(frame, y)| self.image_by_rows(frame, &bands[..self.bands as usize], y));
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let bands: &[Band] = bytemuck::cast_slice(read[1]);
        let terms = bands.iter().map(|band| most_taps(self.frame_h, band.level_h)).max().unwrap_or(1);
        terms as f32 * 255.0 * f32::EPSILON
    }
}

impl Samples for ResampleRows {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [([1, 1], [12, 12]), ([5, 7], [3, 4]), ([37, 41], [13, 29]), ([300, 70], [100, 12])];
        cases
            .iter()
            .flat_map(|&(frame, [w, h])| {
                let bands = sample_bands([w, h]);
                [(1, false), (2, true)].map(|(images, bilinear)| Sample {
                    kernel: Self::new(images, frame, &bands, bilinear),
                    read: vec![
                        (0..images).flat_map(|image| sample_frame(frame, u64::from(image) + 1)).collect(),
                        words(bytemuck::cast_slice(&bands).iter().copied()),
                    ],
                })
            })
            .collect()
    }
}

/// Returns the bands of two levels, the first level in two bands.
pub(super) fn sample_bands([w, h]: [u32; 2]) -> Vec<Band> {
    let (top, small) = (h.div_ceil(2), [w.div_ceil(2), h.div_ceil(3)]);
    let first = Band { row: 0, rows: top, first: 0, level_h: h, level_w: w, x: 0 };
    let second = Band { row: top, rows: h - top, first: top, x: top * w, ..first };
    let third = Band { row: h, rows: small[1], first: 0, level_h: small[1], level_w: small[0], x: h * w };
    [first, second, third].into_iter().filter(|band| band.rows > 0).collect()
}

/// Returns a packed frame of noise.
pub(super) fn sample_frame([w, h]: [u32; 2], seed: u64) -> Vec<f32> {
    words(noise((w * h) as usize, seed).iter().map(|x| x.to_bits().wrapping_mul(2_654_435_761)))
}
