//! P-Net cells over the threshold become candidates.

use super::{Candidate, Hits, PROBABILITY_TOLERANCE, face_probability};
use crate::kernels::{Sample, Samples, wgsl, words};
use crate::record::{Binding, Kernel, Work};
use crate::tensor::noise;

/// Where the cells of a band lie.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct CellBand {
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

crate::uniform! {
    /// Every cell whose probability reaches `threshold`, as a candidate, in order of cells (spec section 3.3).
    ///
    /// Reads `heads: [6, cells]`, `offsets: [blocks]`, `bands: [CellBand]` and the table of corners; updates `candidates: [capacity]` and
    /// `keep: [capacity]`.
    pub struct Decode { cells: u32, threshold: f32, bands: u32, capacity: u32 }
}

impl Decode {
    /// Over `cells` cells of `bands` bands into a list of `capacity`.
    pub fn new(cells: u32, threshold: f32, bands: u32, capacity: u32) -> Self {
        Self { cells, threshold, bands, capacity }
    }
}

impl Kernel for Decode {
    const NAME: &'static str = "decode";
    const WGSL: &'static [&'static str] = wgsl!("select/decode", "shared/boxes", "shared/probability");
    const WORKGROUP: [u32; 3] = [Hits::BLOCK, 1, 1];
    const BINDINGS: &'static [Binding] =
        &[Binding::READ, Binding::READ_U32, Binding::READ_U32, Binding::READ, Binding::UPDATE, Binding::UPDATE_U32];
    const FIELDS: &'static [(&'static str, usize)] = Self::LAYOUT;

    fn work(&self) -> Work {
        Work::linear(self.cells)
    }

    fn sizes(&self) -> Vec<usize> {
        let capacity = self.capacity as usize;
        let blocks = self.cells.div_ceil(Hits::BLOCK) as usize;
        vec![self.cells as usize * 6, blocks, self.bands as usize * 6, 2, capacity * Candidate::WORDS, capacity]
    }

    fn reference(&self, _: u32, read: &[&[f32]], write: &mut [&mut [f32]]) {
        let [heads, offsets, bands, corners] = read else { unreachable!("checked when recorded") };
        let (cells, bands) = (self.cells as usize, &bytemuck::cast_slice::<_, CellBand>(bands)[..self.bands as usize]);
        let mut place = 0;
        for i in 0..cells {
            if i % Hits::BLOCK as usize == 0 {
                place = offsets[i / Hits::BLOCK as usize].to_bits();
            }
            let score = face_probability(heads[i], heads[cells + i]);
            let hit = score >= self.threshold;
            if !hit {
                continue;
            }
            if place < self.capacity {
                let band = bands.iter().rev().find(|band| band.cell as usize <= i).expect("bands start at cell 0");
                let inside = i as u32 - band.cell;
                let pair = |at: u32| [corners[at as usize * 2], corners[at as usize * 2 + 1]];
                let [x1, x2] = pair(band.columns + inside % band.width);
                let [y1, y2] = pair(band.rows + band.row + inside / band.width);
                let mut candidate = Candidate::new([x1, y1, x2, y2], score, band.tag as f32);
                candidate.offsets = [2, 3, 4, 5].map(|k| heads[k * cells + i]);
                Candidate::list_mut(write[0])[place as usize] = candidate;
                write[1][place as usize] = f32::from_bits(1);
            }
            place += 1;
        }
    }

    fn tolerance(&self, _: &[&[f32]]) -> f32 {
        PROBABILITY_TOLERANCE
    }
}

impl Samples for Decode {
    fn samples() -> Vec<Sample<Self>> {
        [(1, 1, 4), (9, 5, 200), (31, 40, 2000), (31, 40, 77)]
            .map(|(w, h, capacity): (u32, u32, u32)| {
                let small = w * h / 3;
                let bands = [
                    CellBand { cell: 0, width: w, row: 0, tag: 0, columns: 0, rows: w },
                    CellBand { cell: w * h, width: w, row: h / 2, tag: 0, columns: 0, rows: w },
                    CellBand { cell: w * (2 * h - h / 2), width: 1, row: 0, tag: 1, columns: 3, rows: 2 },
                ];
                let cells = bands[2].cell + small;
                let bands = &bands[..if small == 0 { 1 } else { 3 }];
                let cells = if small == 0 { w * h } else { cells };
                let heads = noise(cells as usize * 6, 1);
                let corners: Vec<f32> = noise(2 * (w + h + small + 3) as usize, 2).iter().map(|x| (x * 100.0).trunc()).collect();
                let mut offset = 2;
                let block = |block: usize| {
                    let cells_of = block * 256..((block + 1) * 256).min(cells as usize);
                    let hits = cells_of.filter(|&i| face_probability(heads[i], heads[cells as usize + i]) >= 0.6).count() as u32;
                    offset += hits;
                    offset - hits
                };
                let offsets: Vec<u32> = (0..cells.div_ceil(256) as usize).map(block).collect();
                let kernel = Self::new(cells, 0.6, bands.len() as u32, capacity);
                let bands = words(bytemuck::cast_slice(bands).iter().copied());
                Sample { kernel, read: vec![heads, words(offsets), bands, corners] }
            })
            .to_vec()
    }
}
