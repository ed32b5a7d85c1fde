//! The image pyramid: scales, levels, and how levels are cut into bands that fit the memory of one pass.

use super::{Config, Resampling};
use crate::kernels::image::Band;
use crate::kernels::nn::Propose;
use crate::kernels::select::CellBand;
use crate::tensor::Extent;

/// One scale of the frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PyramidLevel {
    /// Level pixels per frame pixel.
    pub scale: f64,
    /// Size in level pixels.
    pub extent: Extent,
}

/// Side of P-Net's window, level pixels.
const WINDOW: u32 = 12;
/// Step of P-Net's window, level pixels.
const STRIDE: u32 = 2;

impl PyramidLevel {
    /// P-Net's output grid: one cell per window (spec section 2.1).
    pub fn cells(&self) -> Extent {
        let side = |size: u32| (size - 2).div_ceil(2) - 4;
        Extent { h: side(self.extent.h), w: side(self.extent.w) }
    }

    /// First and last pixel edge of the window of every cell along one axis, truncated, in the cascade's 1-based frame coordinates
    /// (spec section 3.3). In f64 on the host: 39.9999 truncates differently from 40.
    fn corners(&self, cells: u32) -> impl Iterator<Item = [f32; 2]> + '_ {
        (0..cells).map(|c| {
            let edge = |offset: u32| (f64::from(STRIDE * c + offset) / self.scale).trunc() as f32;
            [edge(1), edge(WINDOW)]
        })
    }
}

/// The levels of a frame of `width x height`, largest first; empty if the frame is smaller than the smallest face (spec section 3.3).
pub fn levels(width: u32, height: u32, config: &Config) -> Vec<PyramidLevel> {
    let first = f64::from(WINDOW) / config.min_face_px;
    let mut shorter = f64::from(width.min(height)) * first;
    let mut levels = Vec::new();
    while shorter >= f64::from(WINDOW) {
        let scale = first * config.factor.powi(levels.len() as i32);
        let side = |size: u32| (f64::from(size) * scale).ceil() as u32;
        levels.push(PyramidLevel { scale, extent: Extent { h: side(height), w: side(width) } });
        shorter *= config.factor;
    }
    levels
}

impl Config {
    /// Pixels of all pyramid levels of a frame of `width x height`: what P-Net's work grows with.
    pub fn pyramid_pixels(&self, width: u32, height: u32) -> u64 {
        levels(width, height, self).iter().map(|level| u64::from(level.extent.area())).sum()
    }
}

/// Whether the integer arithmetic of `taps` holds for every level and for crops.
pub fn fits_taps(width: u32, height: u32, levels: &[PyramidLevel], resampling: Resampling) -> bool {
    let axis = |size: u32, out: u32| {
        let area = size >= out && resampling == Resampling::Area;
        u64::from(size) * u64::from(out) * if area { 1 } else { 2 } + u64::from(size) + u64::from(out) <= u64::from(u32::MAX)
    };
    levels.iter().all(|level| axis(width, level.extent.w) && axis(height, level.extent.h))
}

/// Bands that P-Net takes in one pass.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PyramidPass {
    /// Rows to resample.
    pub bands: Vec<Band>,
    /// Where their cells lie.
    pub cells: Vec<CellBand>,
    /// Cells of all bands.
    pub cell_count: u32,
    /// Tiles of cells of all bands.
    pub tiles: u32,
}

impl PyramidPass {
    /// Sizes of the bands in level pixels.
    pub fn extents(&self) -> Vec<Extent> {
        self.bands.iter().map(|band| Extent { h: band.rows, w: band.level_w }).collect()
    }

    /// Elements of the largest buffer that a band of `rows x width` level pixels needs, from a frame `frame_w` wide: resampled rows, or
    /// P-Net's first activations.
    fn cost(rows: u32, width: u32, frame_w: u32) -> u64 {
        u64::from(rows) * u64::from((10 * width).max(3 * frame_w))
    }

    fn push(&mut self, level: &PyramidLevel, tag: usize, cell_rows: std::ops::Range<u32>, corner: u32) {
        let (rows, cells) = (self.bands.last().map_or(0, |b| b.row + b.rows), level.cells());
        let x = self.bands.last().map_or(0, |b| b.x + b.rows * b.level_w);
        let first = STRIDE * cell_rows.start;
        let last = (STRIDE * cell_rows.end + 10).min(level.extent.h);
        let cell = self.cell_count;
        self.cell_count += cell_rows.len() as u32 * cells.w;
        self.bands.push(Band { row: rows, rows: last - first, first, level_h: level.extent.h, level_w: level.extent.w, x });
        let across = cells.w.div_ceil(Propose::TILE.w);
        let place = CellBand {
            tile: self.tiles,
            across,
            cell,
            width: cells.w,
            row: cell_rows.start,
            tag: tag as u32,
            columns: corner,
            rows: corner + cells.w,
        };
        self.tiles += across * cell_rows.len() as u32;
        self.cells.push(place);
    }
}

/// Cuts `levels` into passes whose buffers hold at most about `budget` elements, in raster order of cells within each level; and the table
/// of corners that the cells' bands point into.
pub fn passes(levels: &[PyramidLevel], frame_w: u32, budget: u64) -> (Vec<PyramidPass>, Vec<f32>) {
    let (mut passes, mut corners) = (vec![PyramidPass::default()], Vec::<[f32; 2]>::new());
    let mut used = 0;
    for (tag, level) in levels.iter().enumerate() {
        let cells = level.cells();
        let corner = corners.len() as u32;
        corners.extend(level.corners(cells.w));
        corners.extend(level.corners(cells.h));
        let row = PyramidPass::cost(1, level.extent.w, frame_w);
        let most = ((budget / row).saturating_sub(10) / 2).max(1) as u32;
        // Rows of equal bands, not one short rest.
        let step = cells.h.div_ceil(cells.h.div_ceil(most));
        for start in (0..cells.h).step_by(step as usize) {
            let end = (start + step).min(cells.h);
            let cost = PyramidPass::cost(STRIDE * (end - start) + 10, level.extent.w, frame_w);
            if used > 0 && used + cost > budget {
                passes.push(PyramidPass::default());
                used = 0;
            }
            used += cost;
            if let Some(pass) = passes.last_mut() {
                pass.push(level, tag, start..end, corner);
            }
        }
    }
    (passes, corners.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_of_a_640x480_frame_are_those_of_the_spec() {
        let levels = levels(640, 480, &Config::default());
        assert_eq!(levels.len(), 10);
        assert_eq!((levels[0].extent, levels[9].extent), (Extent { h: 288, w: 384 }, Extent { h: 14, w: 18 }));
        assert_eq!(levels.iter().map(|level| level.cells().area()).sum::<u32>(), 50_663);
    }

    #[test]
    fn a_frame_smaller_than_a_face_has_no_level() {
        assert!(levels(19, 500, &Config::default()).is_empty());
        assert_eq!(levels(20, 20, &Config::default()).len(), 1);
    }

    #[test]
    fn passes_cover_every_cell_once_whatever_the_budget() {
        let levels = levels(301, 222, &Config::default());
        let whole = passes(&levels, 301, u64::MAX / 2);
        assert_eq!(whole.0.len(), 1);
        for budget in [1, 20_000, 100_000, 300_000] {
            let (cut, corners) = passes(&levels, 301, budget);
            assert_eq!(corners, whole.1);
            assert_eq!(cut.iter().map(|pass| pass.cell_count).sum::<u32>(), whole.0[0].cell_count);
            for (band, cells) in cut.iter().flat_map(|pass| pass.bands.iter().zip(&pass.cells)) {
                let extent = Extent { h: band.rows, w: band.level_w };
                let alone = PyramidLevel { scale: 1.0, extent }.cells();
                assert_eq!((alone.w, cells.row * 2), (cells.width, band.first));
                assert!(band.first + band.rows <= band.level_h);
            }
        }
    }
}
