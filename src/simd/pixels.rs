//! Conversion of packed pixels to planes of floats.

use super::bands::{Bands, Taps, resample};
use super::scratch::Scratch;
use super::{Task, Vector};

/// Computes weighted sums of rows of packed pixels, R in the low byte: one row of each of three planes.
pub(crate) struct SumRows<'a> {
    /// Pixels of the image.
    pub pixels: &'a [u32],
    /// Number of columns of the image.
    pub stride: usize,
    /// First column to sum.
    pub left: usize,
    /// Rows of the image and their weights.
    pub taps: &'a [(usize, f32)],
    /// Red, green and blue, of equal length.
    pub planes: [&'a mut [f32]; 3],
}

impl Task for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let [red, green, blue] = self.planes;
        sum_rows::<V>(self.pixels, [self.stride, self.left], self.taps, [red, green, blue]);
    }
}

#[inline(always)]
fn sum_rows<V: Vector>(pixels: &[u32], [stride, left]: [usize; 2], taps: &[(usize, f32)], [red_to, green_to, blue_to]: [&mut [f32]; 3]) {
    let width = red_to.len();
    assert!(green_to.len() == width && blue_to.len() == width && left + width <= stride, "planes of one row");
    for (row, _) in taps {
        assert!(pixels.len() >= row * stride + left + width, "row {row} is in the image");
    }
    for column in (0..width).step_by(V::LANES) {
        let n = (width - column).min(V::LANES);
        let mut sums = [V::splat(0.0); 3];
        for &(row, weight) in taps {
            // SAFETY: `n` pixels of the row are left.
            let bytes = unsafe { V::load_bytes(pixels.as_ptr().add(row * stride + left + column), n) };
            let weight = V::splat(weight);
            sums = [bytes[0].mul_add(weight, sums[0]), bytes[1].mul_add(weight, sums[1]), bytes[2].mul_add(weight, sums[2])];
        }
        let [red, green, blue] = sums;
        // SAFETY: `n` elements of each plane are left.
        unsafe {
            red.store_first(red_to.as_mut_ptr().add(column), n);
            green.store_first(green_to.as_mut_ptr().add(column), n);
            blue.store_first(blue_to.as_mut_ptr().add(column), n);
        }
    }
}

/// Resamples a box of the image to three normalised square planes.
pub(crate) struct CropPixels<'a> {
    /// Pixels of the image.
    pub pixels: &'a [u32],
    /// Number of columns of the image.
    pub stride: usize,
    /// First column and number of columns of the box inside the image.
    pub columns: [usize; 2],
    /// Weights along a row, starting at the box's first column inside the image.
    pub across: &'a Bands,
    /// Rows of the image and their weights, for each row of the result.
    pub down: &'a Taps,
    /// Result, `[3, side, side]`.
    pub y: &'a mut [f32],
}

impl Task for CropPixels<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let ([left, width], side) = (self.columns, self.down.len());
        let mut memory = Scratch::take();
        let stride = width.next_multiple_of(16);
        let [lines, sums] = memory.parts([3 * side * stride, 12 * 16]);
        for row in 0..side {
            let (red, rest) = lines[row * stride..].split_at_mut(side * stride);
            let (green, blue) = rest.split_at_mut(side * stride);
            let planes = [&mut red[..width], &mut green[..width], &mut blue[..width]];
            sum_rows::<V>(self.pixels, [self.stride, left], self.down.get(row), planes);
        }
        resample::<V>(lines, stride, self.across, sums, self.y, side);
    }
}
