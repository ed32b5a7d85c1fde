//! P-Net cells over the threshold become candidates.

use super::{Candidate, Counter};
use crate::kernels::nn::Propose;
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// Where the cells of a band lie.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct CellBand {
    /// First tile.
    pub tile: u32,
    /// Tiles in a row.
    pub across: u32,
    /// First cell.
    pub cell: u32,
    /// Cells in a row.
    pub width: u32,
    /// Row of the level that the band starts with.
    pub row: u32,
    /// Pyramid level.
    pub tag: u32,
    /// First entry of the corner table for the level's columns.
    pub columns: u32,
    /// First entry for its rows.
    pub rows: u32,
}

impl CellBand {
    /// Four-byte words of a band.
    const WORDS: usize = 8;
}

crate::uniform! {
    /// Every cell whose probability reaches `threshold`, as a candidate, in order of cells (spec section 3.3).
    ///
    /// Reads `heads: [images, 5, cells]` and `counts: [images, blocks]` of [`Propose`], `bands: [CellBand]`, the table of corners and the
    /// [`Counter`]s of earlier passes, `[images]`; updates `candidates: [images, capacity]`, `keep: [images, capacity]` and the counters of
    /// `list`.
    pub struct Decode { images: u32, cells: u32, bands: u32, blocks: u32, tiles: u32, capacity: u32, list: u32, threshold: f32 }
}

impl Decode {
    /// Over `cells` cells in `tiles` tiles of `bands` bands, into list number `list` of each image with room for `capacity`.
    pub fn new(images: u32, [cells, tiles, bands]: [u32; 3], capacity: u32, list: u32, threshold: f32) -> Self {
        Self { images, cells, bands, blocks: tiles.div_ceil(Propose::BLOCK), tiles, capacity, list, threshold }
    }
}

impl Kernel for Decode {
    const NAME: &'static str = "decode";
    const WGSL: &'static [&'static str] = wgsl!("select/decode", "shared/boxes", "shared/counter");
    const WORKGROUP: [u32; 3] = [Propose::BLOCK, 1, 1];
    const BINDINGS: &'static [Binding] = &[
        Binding::READ,
        Binding::READ_U32,
        Binding::READ_U32,
        Binding::READ,
        Binding::READ_U32,
        Binding::UPDATE,
        Binding::UPDATE_U32,
        Binding::UPDATE_U32,
    ];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work { rows: self.images, ..Work::linear(self.blocks * Propose::BLOCK) }
    }

    fn sizes(&self) -> Vec<usize> {
        let (images, room) = (self.images as usize, (self.images * self.capacity) as usize);
        let (heads, counts) = (images * (Propose::OUTPUTS * self.cells) as usize, images * self.blocks as usize);
        let (bands, list) = (self.bands as usize * CellBand::WORDS, room * Candidate::WORDS);
        vec![heads, counts, bands, 2, images * Counter::WORDS, list, room, Counter::size(self.list, self.images)]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [heads, counts, bands, corners, before] = read else { unreachable!("checked when recorded") };
        let [candidates, keep, counters] = write else { unreachable!("checked when recorded") };
        let (cells, blocks, room) = (self.cells as usize, self.blocks as usize, self.capacity as usize);
        let bands = &bytemuck::cast_slice::<_, CellBand>(bands)[..self.bands as usize];
        for image in 0..self.images as usize {
            let heads = &heads[image * Propose::OUTPUTS as usize * cells..];
            let earlier = Counter::at(before, 0, self.images, image);
            let mut wanted = earlier.wanted;
            for i in (0..cells).filter(|&i| heads[i] >= self.threshold) {
                if wanted < self.capacity {
                    let at = image * room + wanted as usize;
                    let band = bands.iter().rev().find(|band| band.cell as usize <= i).expect("bands start at cell 0");
                    let inside = i as u32 - band.cell;
                    let pair = |at: u32| [corners[at as usize * 2], corners[at as usize * 2 + 1]];
                    let [x1, x2] = pair(band.columns + inside % band.width);
                    let [y1, y2] = pair(band.rows + band.row + inside / band.width);
                    let mut candidate = Candidate::new([x1, y1, x2, y2], heads[i], band.tag as f32);
                    candidate.offsets = [1, 2, 3, 4].map(|k| heads[k * cells + i]);
                    Candidate::list_mut(candidates)[at] = candidate;
                    keep[at] = f32::from_bits(1);
                }
                wanted += 1;
            }
            let nan = counts[image * blocks..][..blocks].iter().any(|count| count.to_bits() >> 31 == 1);
            let counter = Counter { held: wanted.min(self.capacity), wanted, fault: earlier.fault | u32::from(nan), ..Counter::default() };
            Counter::put(counters, self.list, self.images, image, counter);
        }
    }

    fn native(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [heads, counts, bands, corners, before] = read else { unreachable!("checked when recorded") };
        let [candidates, keep, counters] = write else { unreachable!("checked when recorded") };
        let (cells, blocks, room) = (self.cells as usize, self.blocks as usize, self.capacity as usize);
        let (bands, corners) = (&bytemuck::cast_slice::<_, CellBand>(bands)[..self.bands as usize], corners.as_chunks::<2>().0);
        for image in 0..self.images as usize {
            let heads = &heads[image * Propose::OUTPUTS as usize * cells..][..Propose::OUTPUTS as usize * cells];
            let earlier = Counter::at(before, 0, self.images, image);
            let mut wanted = earlier.wanted as usize;
            let list = &mut Candidate::list_mut(candidates)[image * room..][..room];
            for (k, band) in bands.iter().enumerate() {
                let end = bands.get(k + 1).map_or(cells, |next| next.cell as usize);
                let lines = heads[band.cell as usize..end].chunks(band.width as usize);
                for (i, line) in lines.enumerate() {
                    // Most lines have none.
                    if !line.iter().fold(false, |any, score| any | (*score >= self.threshold)) {
                        continue;
                    }
                    let [y1, y2] = corners[band.rows as usize + band.row as usize + i];
                    for (j, score) in line.iter().enumerate().filter(|(_, score)| **score >= self.threshold) {
                        if let Some(candidate) = list.get_mut(wanted) {
                            let [x1, x2] = corners[band.columns as usize + j];
                            let cell = band.cell as usize + i * band.width as usize + j;
                            *candidate = Candidate::new([x1, y1, x2, y2], *score, band.tag as f32);
                            candidate.offsets = [1, 2, 3, 4].map(|head| heads[head * cells + cell]);
                            keep[image * room + wanted] = f32::from_bits(1);
                        }
                        wanted += 1;
                    }
                }
            }
            let nan = counts[image * blocks..][..blocks].iter().any(|count| count.to_bits() >> 31 == 1);
            let (held, wanted) = (wanted.min(room) as u32, wanted as u32);
            let counter = Counter { held, wanted, fault: earlier.fault | u32::from(nan), ..Counter::default() };
            Counter::put(counters, self.list, self.images, image, counter);
        }
    }
}

/// Hits by block, as the propose kernel counts them.
fn count(scores: &[f32], bands: &[CellBand], blocks: u32, threshold: f32) -> Vec<u32> {
    let mut counts = vec![0; blocks as usize];
    for (i, _) in scores.iter().enumerate().filter(|(_, score)| **score >= threshold) {
        let band = bands.iter().rev().find(|band| band.cell as usize <= i).expect("bands start at cell 0");
        let inside = i as u32 - band.cell;
        let tile = band.tile + inside / band.width * band.across + inside % band.width / Propose::TILE.w;
        counts[(tile / Propose::BLOCK) as usize] += 1;
    }
    counts
}

impl Samples for Decode {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 1, 4, 1), (1, 9, 5, 200, 1), (3, 31, 40, 2000, 3), (1, 31, 40, 77, 3), (1, 130, 9, 900, 1)]
            .map(|(images, w, h, capacity, count_of_bands): (u32, u32, u32, u32, usize)| {
                let (small, across) = (w * h / 3, w.div_ceil(Propose::TILE.w));
                let first = CellBand { tile: 0, across, cell: 0, width: w, row: 0, tag: 0, columns: 0, rows: w };
                let second = CellBand { tile: across * h, cell: w * h, row: h / 2, ..first };
                let third = CellBand {
                    tile: across * (2 * h - h / 2),
                    across: 1,
                    cell: w * (2 * h - h / 2),
                    width: 1,
                    tag: 1,
                    columns: 3,
                    rows: 2,
                    row: 0,
                };
                let bands = &[first, second, third][..count_of_bands];
                let [cells, tiles] = if count_of_bands == 1 { [w * h, across * h] } else { [third.cell + small, third.tile + small] };
                // Probabilities, some of them exactly the threshold.
                let heads: Vec<f32> = noise((images * 5 * cells) as usize, 1).iter().map(|x| (x.abs() * 20.0).round() / 20.0).collect();
                let corners: Vec<f32> = noise(2 * (w + h + small + 3) as usize, 2).iter().map(|x| (x * 100.0).trunc()).collect();
                let kernel = Self::new(images, [cells, tiles, count_of_bands as u32], capacity, 1, 0.6);
                let scores = heads.chunks((5 * cells) as usize).map(|heads| &heads[..cells as usize]);
                let mut counts: Vec<u32> = scores.flat_map(|scores| count(scores, bands, kernel.blocks, 0.6)).collect();
                if images > 1 {
                    counts[1] |= 1 << 31;
                }
                let before: Vec<Counter> = (0..images).map(|image| Counter::of(image * 9)).collect();
                let bands = words(bytemuck::cast_slice(bands).iter().copied());
                Sample { kernel, read: vec![heads, words(counts), bands, corners, bytemuck::cast_slice(&before).to_vec()] }
            })
            .to_vec()
    }
}
