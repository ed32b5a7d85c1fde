//! Crops of candidates for R- and O-Net.

use std::ops::Range;

use super::resample_rows::sample_frame;
use super::taps::{most_taps, taps};
use super::{normal, rgb};
use crate::kernels::select::{Candidate, Counter, image_of};
use crate::kernels::{Sample, Samples, wgsl};
use crate::record::{Binding, Kernel, Work};
use crate::simd::{Bands, CropPixels, Simd, Taps};

crate::uniform! {
    /// Cuts candidates out of their frames, as `side x side` pixels that are zero outside the frame.
    ///
    /// Reads the packed frames, `candidates: [images, capacity]` and the [`Counter`]s; writes
    /// `y: [n, 3, side, side]`, the normalised pixels of candidates `first .. first + n`, counted over all
    /// images in sequence.
    pub struct Crop {
        n: u32, images: u32, capacity: u32, list: u32, frame_w: u32, frame_h: u32, first: u32, side: u32, bilinear: u32, mirror: u32,
    }
}

impl Crop {
    /// Creates the kernel for candidates `first .. first + n` in list number `list` of each image, which
    /// holds at most `capacity`, and frames of `[width, height]`.
    pub fn new([images, capacity, list]: [u32; 3], [frame_w, frame_h]: [u32; 2], [first, n]: [u32; 2], side: u32, bilinear: bool) -> Self {
        Self { images, capacity, list, frame_w, frame_h, n, first, side, bilinear: u32::from(bilinear), mirror: 0 }
    }

    /// Mirrors the crops left to right.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { mirror: 1, ..self }
    }

    /// Returns the frame and the candidate of an item.
    fn source<'a>(&self, item: u32, read: &[&'a [f32]]) -> (&'a [u32], &'a Candidate) {
        let (frames, candidates) = (bytemuck::cast_slice::<f32, u32>(read[0]), Candidate::list(read[1]));
        let (image, place) = image_of(self.first + item, read[2], self.list, self.images);
        let size = (self.frame_w * self.frame_h) as usize;
        (&frames[image * size..][..size], &candidates[image * self.capacity as usize + place.min(self.capacity - 1) as usize])
    }

    /// Returns the taps of output element `i` along one axis: frame positions with weights, of those inside
    /// the frame.
    fn inside(&self, i: u32, low: i64, high: i64, limit: u32) -> impl Iterator<Item = (usize, f64)> {
        taps(i, (high - low + 1) as u32, self.side, self.bilinear == 1)
            .map(move |(j, weight)| (j as i64 + low - 1, weight))
            .filter(move |(j, _)| (0..i64::from(limit)).contains(j))
            .map(|(j, weight)| (j as usize, weight))
    }

    /// Returns one channel-planar crop of `candidate` in byte values, or `None` if the box has no area.
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

/// Buffers for the weights of a crop, reused for the next one.
#[derive(Default)]
struct CropTaps {
    across: Taps,
    down: Taps,
    bands: Bands,
}

impl Crop {
    /// Computes [`Crop::item`] separably: each row of the crop is summed from the frame rows over the whole
    /// box, then resampled along the row.
    fn item_by_rows(&self, frame: &[u32], candidate: &Candidate, y: &mut [f32], weights: &mut CropTaps) {
        let [x1, y1, x2, y2] = candidate.corners.map(|v| v as i64);
        let (left, right) = ((x1 - 1).max(0), x2.min(i64::from(self.frame_w)));
        if x2 < x1 || y2 < y1 || right <= left {
            return y.fill(normal(0.0));
        }
        let left = left as usize;
        let CropTaps { across, down, bands } = weights;
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
    const WGSL: &'static [&'static str] =
        wgsl!("image/crop", "shared/taps", "shared/images", "shared/boxes", "shared/counter", "shared/walk");
    const WORKGROUP: [u32; 3] = [64, 1, 1];
    const BINDINGS: &'static [Binding] = &[Binding::READ_U32, Binding::READ, Binding::READ_U32, Binding::WRITE];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;
    /// Few enough turns that those over large boxes stay below the loops that software drivers end.
    const WALKERS: Option<u32> = Some(4096);

    fn work(&self) -> Work {
        Work { per_item: self.side * self.side, together: 1, items: Some(self.n), rows: 1 }
    }

    fn sizes(&self) -> Vec<usize> {
        let (frames, list) = ((self.images * self.frame_w * self.frame_h) as usize, (self.images * self.capacity) as usize);
        let y = (self.n * 3 * self.side * self.side) as usize;
        vec![frames, list * Candidate::WORDS, Counter::size(self.list, self.images), y]
    }

    fn reference(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        for (y, item) in write[0].chunks_mut((3 * self.side * self.side) as usize).zip(0..items) {
            let (frame, candidate) = self.source(item, read);
            self.item(frame, candidate, y);
        }
    }

    fn native(&self, items: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        self.native_part(0..items, read, write);
    }

    fn apart(&self) -> Option<Vec<usize>> {
        Some(vec![0, 0, 0, (3 * self.side * self.side) as usize])
    }

    fn native_part(&self, items: Range<u32>, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let crops = write[0].chunks_mut((3 * self.side * self.side) as usize);
        let mut weights = CropTaps::default();
        for (y, item) in crops.zip(items) {
            let (frame, candidate) = self.source(item, read);
            self.item_by_rows(frame, candidate, y, &mut weights);
        }
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
        let all = boxes.len() as u32;
        [
            // More than a workgroup each has to do.
            ([1, 460, 0], 24, [0, 460], false, false),
            ([1, all, 0], 24, [0, 9], false, false),
            ([1, all, 0], 48, [2, 5], false, true),
            ([1, all, 0], 24, [0, 1], true, false),
            ([3, 3, 1], 1, [0, 7], true, true),
        ]
        .map(|(lists_of, side, chunk, bilinear, mirror)| {
            let kernel = Self::new(lists_of, frame, chunk, side, bilinear);
            let [images, capacity, last] = lists_of;
            let boxes = boxes.iter().cycle().take((images * capacity) as usize);
            let list: Vec<Candidate> = boxes.map(|b| Candidate::new(b.map(|v| v as f32), 0.5, 0.0)).collect();
            let frames = (0..images).flat_map(|image| sample_frame(frame, 3 + u64::from(image))).collect();
            // With several images, the first holds one candidate less.
            let held = (0..images).map(|image| if images > 1 && image == 0 { capacity - 1 } else { capacity }).map(Counter::of);
            let counters: Vec<Counter> = (0..=last).flat_map(|_| held.clone()).collect();
            let read = vec![frames, bytemuck::cast_slice(&list).to_vec(), bytemuck::cast_slice(&counters).to_vec()];
            Sample { kernel: if mirror { kernel.mirrored() } else { kernel }, read }
        })
        .to_vec()
    }
}
