//! Horizontal half of resampling, with normalisation.

use rayon::prelude::*;

use super::resample_rows::sample_bands;
use super::taps::{most_taps, taps};
use super::{Band, normal};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Bands, ResampleLines, Simd, Taps};
use crate::tensor::noise;

crate::uniform! {
    /// Resamples rows as wide as the frame to normalised pyramid bands.
    ///
    /// Reads `x: [images, 3, rows of all bands, frame_w]` of byte values and `bands: [Band]`; writes
    /// `y: [images, 3, bands laid end to end]`.
    pub struct ResampleColumns { images: u32, frame_w: u32, bands: u32, x_plane: u32, y_plane: u32, bilinear: u32 }
}

impl ResampleColumns {
    /// Creates the kernel for `bands` of each of `images` frames that are `frame_w` wide.
    pub fn new(images: u32, frame_w: u32, bands: &[Band], bilinear: bool) -> Self {
        let rows: u32 = bands.iter().map(|band| band.rows).sum();
        let y_plane = bands.iter().map(|band| band.rows * band.level_w).sum();
        Self { images, frame_w, bands: bands.len() as u32, x_plane: rows * frame_w, y_plane, bilinear: u32::from(bilinear) }
    }
}

/// Rows per task: a few register tiles.
const ROWS: u32 = 24;

impl Kernel for ResampleColumns {
    const NAME: &'static str = "resample_columns";
    const WGSL: &'static [&'static str] = wgsl!("image/resample_columns", "shared/taps");
    const WORKGROUP: [u32; 3] = [256, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.y_plane) }
    }

    fn sizes(&self) -> Vec<usize> {
        let planes = self.images as usize * 3;
        vec![self.x_plane as usize * planes, self.bands as usize * 6, self.y_plane as usize * planes]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let bands: &[Band] = bytemuck::cast_slice(read[1]);
        for band in &bands[..self.bands as usize] {
            for (row, column) in (0..band.rows).flat_map(|row| (0..band.level_w).map(move |column| (row, column))) {
                let start = ((band.row + row) * self.frame_w) as usize;
                let at = (band.x + row * band.level_w + column) as usize;
                for c in 0..3 * self.images as usize {
                    let line = &read[0][c * self.x_plane as usize + start..];
                    let taps = taps(column, self.frame_w, band.level_w, self.bilinear == 1);
                    let sum: f64 = taps.map(|(j, weight)| weight * f64::from(line[j])).sum();
                    write[0][c * self.y_plane as usize + at] = normal(sum);
                }
            }
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let bands: &[Band] = bytemuck::cast_slice(read[1]);
        let bands = &bands[..self.bands as usize];
        // The weights of a column are the same in every row of a level.
        let weights: Vec<Bands> = bands
            .iter()
            .map(|band| {
                let (mut all, mut weights) = (Taps::default(), Bands::default());
                for i in 0..band.level_w {
                    all.push(taps(i, self.frame_w, band.level_w, self.bilinear == 1).map(|(j, weight)| (j, weight as f32)));
                }
                weights.set(&all, false);
                weights
            })
            .collect();
        let (stride, simd) = (self.frame_w as usize, Simd::chosen());
        let mut tasks = Vec::new();
        let planes = write[0].chunks_mut(self.y_plane as usize).zip(read[0].chunks(self.x_plane as usize));
        for (mut y, x) in planes.take(3 * self.images as usize) {
            for (band, bands) in bands.iter().zip(&weights) {
                for first in (0..band.rows).step_by(ROWS as usize) {
                    let rows = ROWS.min(band.rows - first);
                    let (own, rest) = y.split_at_mut((rows * band.level_w) as usize);
                    y = rest;
                    let at = (band.row + first) as usize * stride;
                    tasks.push(ResampleLines { x: &x[at..at + rows as usize * stride], stride, bands, y: own });
                }
            }
        }
        tasks.into_par_iter().for_each(|task| simd.run(task));
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let bands: &[Band] = bytemuck::cast_slice(read[1]);
        let terms = bands.iter().map(|band| most_taps(self.frame_w, band.level_w)).max().unwrap_or(1);
        (terms + 1) as f32 * 255.0 / 128.0 * f32::EPSILON
    }
}

impl Samples for ResampleColumns {
    fn samples() -> Vec<Sample<Self>> {
        let cases = [(1, [12, 12]), (5, [3, 4]), (37, [13, 29]), (300, [100, 12])];
        cases
            .iter()
            .flat_map(|&(frame_w, level)| {
                let bands = sample_bands(level);
                [(1, false), (2, true)].map(|(images, bilinear)| {
                    let kernel = Self::new(images, frame_w, &bands, bilinear);
                    let x = noise(kernel.x_plane as usize * 3 * images as usize, 2).iter().map(|x| 127.5 + 127.5 * x).collect();
                    Sample { kernel, read: vec![x, words(bytemuck::cast_slice(&bands).iter().copied())] }
                })
            })
            .collect()
    }
}
