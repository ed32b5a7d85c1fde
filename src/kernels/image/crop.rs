//! Crops of candidates for R- and O-Net.

use super::resample_rows::sample_frame;
use super::taps::{most_taps, taps};
use super::{normal, rgb};
use crate::kernels::select::Candidate;
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Bands, CropPixels, Simd, Taps};

crate::uniform! {
    /// Candidates cut out of the frame, zero outside it, at `side x side` pixels.
    ///
    /// Reads the packed frame and `candidates: [first + n]`; writes `y: [n, 3, side, side]`, normalised.
    pub struct Crop { frame_w: u32, frame_h: u32, n: u32, first: u32, side: u32, bilinear: u32, mirror: u32 }
}

impl Crop {
    /// Crops of candidates `first .. first + n` of a frame `[width, height]`.
    pub fn new([frame_w, frame_h]: [u32; 2], first: u32, n: u32, side: u32, bilinear: bool, mirror: bool) -> Self {
        Self { frame_w, frame_h, n, first, side, bilinear: u32::from(bilinear), mirror: u32::from(mirror) }
    }

    /// Taps of output element `i` along one axis: frame positions and weights, only those inside the frame.
    fn inside(&self, i: u32, low: i64, high: i64, limit: u32) -> impl Iterator<Item = (usize, f64)> {
        taps(i, (high - low + 1) as u32, self.side, self.bilinear == 1)
            .map(move |(j, weight)| (j as i64 + low - 1, weight))
            .filter(move |(j, _)| (0..i64::from(limit)).contains(j))
            .map(|(j, weight)| (j as usize, weight))
    }

    /// One channel-planar crop of `candidate`, byte values; `None` for a box without area.
    fn cut(&self, frame: &[u32], candidate: &Candidate) -> Option<Vec<[f64; 3]>> {
        let [x1, y1, x2, y2] = candidate.corners.map(|v| v as i64);
        if x2 < x1 || y2 < y1 {
            return None;
        }
        let columns: Vec<Vec<(usize, f64)>> = (0..self.side).map(|i| self.inside(i, x1, x2, self.frame_w).collect()).collect();
        let rows = (0..self.side).map(|i| self.inside(i, y1, y2, self.frame_h).collect::<Vec<_>>());
        let mut pixels = Vec::with_capacity((self.side * self.side) as usize);
        for rows in rows {
            for column in 0..columns.len() {
                let columns = &columns[if self.mirror == 1 { columns.len() - 1 - column } else { column }];
                let mut sum = [0.0; 3];
                for &(row, weight) in &rows {
                    for &(column, across) in columns {
                        let texel = rgb(frame[row * self.frame_w as usize + column]);
                        (0..3).for_each(|c| sum[c] += weight * across * texel[c]);
                    }
                }
                pixels.push(sum);
            }
        }
        Some(pixels)
    }

    fn item(&self, frame: &[u32], candidate: &Candidate, y: &mut [f32]) {
        let plane = (self.side * self.side) as usize;
        let Some(pixels) = self.cut(frame, candidate) else { return y.fill(normal(0.0)) };
        for (i, pixel) in pixels.iter().enumerate() {
            (0..3).for_each(|c| y[c * plane + i] = normal(pixel[c]));
        }
    }
}

/// Weights of one crop after the other, in the same memory.
#[derive(Default)]
struct Weights {
    across: Taps,
    down: Taps,
    bands: Bands,
}

impl Crop {
    /// [`Crop::item`], separably: each row of the crop is summed from frame rows over the whole box, then resampled along it.
    fn item_by_rows(&self, frame: &[u32], candidate: &Candidate, y: &mut [f32], weights: &mut Weights) {
        let [x1, y1, x2, y2] = candidate.corners.map(|v| v as i64);
        let (left, right) = ((x1 - 1).max(0), x2.min(i64::from(self.frame_w)));
        if x2 < x1 || y2 < y1 || right <= left {
            return y.fill(normal(0.0));
        }
        let left = left as usize;
        let Weights { across, down, bands } = weights;
        across.clear();
        down.clear();
        for i in 0..self.side {
            across.push(self.inside(i, x1, x2, self.frame_w).map(|(j, weight)| (j - left, weight as f32)));
            down.push(self.inside(i, y1, y2, self.frame_h).map(|(j, weight)| (j, weight as f32)));
        }
        bands.set(across, self.mirror == 1);
        let (pixels, stride, columns) = (frame, self.frame_w as usize, [left, right as usize - left]);
        Simd::chosen().run(CropPixels { pixels, stride, columns, across: bands, down, y });
    }
}

impl Kernel for Crop {
    const NAME: &'static str = "crop";
    const WGSL: &'static [&'static str] = wgsl!("image/crop", "shared/taps", "shared/boxes");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { per_item: self.side * self.side, together: 1, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        let frame = (self.frame_w * self.frame_h) as usize;
        vec![frame, (self.first + self.n) as usize * Candidate::WORDS, (self.n * 3 * self.side * self.side) as usize]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let candidates = &Candidate::list(read[1])[self.first as usize..];
        let size = (3 * self.side * self.side) as usize;
        for (y, candidate) in write[0].chunks_mut(size).zip(candidates).take(items as usize) {
            self.item(bytemuck::cast_slice(read[0]), candidate, y);
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let candidates = &Candidate::list(read[1])[self.first as usize..];
        let size = (3 * self.side * self.side) as usize;
        let mut weights = Weights::default();
        for (y, candidate) in write[0].chunks_mut(size).zip(candidates).take(items as usize) {
            self.item_by_rows(bytemuck::cast_slice(read[0]), candidate, y, &mut weights);
        }
    }

    fn apart(&self) -> Option<Vec<usize>> {
        Some(vec![0, Candidate::WORDS, (3 * self.side * self.side) as usize])
    }

    fn tolerance(&self, read: &[&[f32]]) -> f32 {
        let side = |c: &Candidate| (c.corners[2] - c.corners[0]).max(c.corners[3] - c.corners[1]).max(0.0) as u32 + 1;
        let longest = Candidate::list(read[1]).iter().map(side).max().unwrap_or(1).min(self.frame_w.max(self.frame_h) * 2);
        (2 * most_taps(longest, self.side) + 1) as f32 * 255.0 / 128.0 * f32::EPSILON
    }
}

impl Samples for Crop {
    fn samples() -> Vec<Sample<Self>> {
        let frame = [61, 47];
        let boxes = [
            [1, 1, 61, 47],
            [5, 7, 28, 30],
            [-9, -20, 14, 3],
            [50, 40, 90, 79],
            [12, 12, 12, 12],
            [30, 30, 20, 45],
            [200, 200, 240, 240],
            [-30, -30, 99, 98],
            [17, 3, 41, 26],
        ];
        let list: Vec<Candidate> = boxes.iter().map(|b| Candidate::new(b.map(|v| v as f32), 0.5, 0.0)).collect();
        [(24, 0, 9, false, false), (48, 2, 5, false, true), (24, 0, 1, true, false), (1, 0, 9, true, true)]
            .map(|(side, first, n, bilinear, mirror)| Sample {
                kernel: Self::new(frame, first, n, side, bilinear, mirror),
                read: vec![sample_frame(frame, 3), bytemuck::cast_slice(&list).to_vec()],
            })
            .to_vec()
    }
}
