//! Conversion of rows of a convolution, with channels last, to planes, with optional pooling.

use super::vector::transpose;
use super::{PlanesMut, Vector};

/// Number of pixels that are gathered before they are transposed to planes.
const GATHERED: usize = 64;

/// Dimensions for converting the rows of one block of channels to planes.
#[derive(Clone, Copy)]
pub(super) struct Form {
    /// Number of channels per pixel in the buffers, in whole vectors.
    pub lanes: usize,
    /// Number of columns of the convolution.
    pub width: usize,
    /// Number of rows of the convolution.
    pub rows: usize,
    /// Side of the pooling windows and their stride; `[1, 1]` without pooling.
    pub pool: [usize; 2],
    /// Largest number of rows that are written before [`Sink::advance`] is called.
    pub ahead: usize,
}

impl Form {
    /// Returns the number of columns after pooling.
    pub fn pooled_width(&self) -> usize {
        pooled(self.width, self.pool)
    }

    /// Returns the numbers of elements of the row buffer and of the buffer of gathered pixels.
    pub fn lengths(&self) -> [usize; 2] {
        let row = self.width * self.lanes;
        let pixels = GATHERED + 16 + self.ahead * self.width;
        [if self.pool[0] > 1 { (self.pool[0] + self.ahead) * row } else { 0 }, pixels * self.lanes]
    }
}

/// Returns the number of windows along `size` elements, in ceil mode.
pub(super) fn pooled(size: usize, [side, stride]: [usize; 2]) -> usize {
    size.saturating_sub(side).div_ceil(stride) + 1
}

/// Writes planes, starting at channel `first`, from the first pixel to the last.
pub(super) struct Sink<'a, 'b> {
    pub form: Form,
    /// Row buffer; see [`Form::lengths`] for its length.
    pub ring: &'a mut [f32],
    /// Gathered pixels.
    pub pixels: &'a mut [f32],
    pub y: &'a mut PlanesMut<'b>,
    pub first: usize,
    held: usize,
    written: usize,
    rows: usize,
    windows: usize,
}

impl<'a, 'b> Sink<'a, 'b> {
    pub fn new(form: Form, [ring, pixels]: [&'a mut [f32]; 2], y: &'a mut PlanesMut<'b>, first: usize) -> Self {
        let [ring_len, pixels_len] = form.lengths();
        assert!(ring.len() >= ring_len && pixels.len() >= pixels_len, "buffers are whole");
        assert!(y.len() == form.pooled_width() * pooled(form.rows, form.pool) && first < y.planes(), "planes are whole");
        Self { form, ring, pixels, y, first, held: 0, written: 0, rows: 0, windows: 0 }
    }

    /// Returns the buffer for row `row` of the convolution, of `width * lanes` elements. The row must be less
    /// than `ahead` rows past those that are complete.
    #[inline(always)]
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        let length = self.form.width * self.form.lanes;
        if self.form.pool[0] > 1 {
            let at = row % (self.form.pool[0] + self.form.ahead) * length;
            &mut self.ring[at..at + length]
        } else {
            let at = self.held * self.form.lanes + (row - self.rows) * length;
            &mut self.pixels[at..at + length]
        }
    }

    /// Declares that all rows before `rows` are complete.
    #[inline(always)]
    pub fn advance<V: Vector>(&mut self, rows: usize) {
        let Form { width, pool: [side, stride], .. } = self.form;
        if side > 1 {
            let windows = pooled(self.form.rows, self.form.pool);
            while self.windows < windows && (self.windows * stride + side).min(self.form.rows) <= rows {
                self.pool::<V>();
                self.flush_if::<V>(false);
            }
        } else {
            self.held += (rows - self.rows) * width;
        }
        self.rows = rows;
        self.flush_if::<V>(rows == self.form.rows);
    }

    /// Pools one row of windows.
    #[inline(always)]
    fn pool<V: Vector>(&mut self) {
        let Form { lanes, width, rows, pool: [side, stride], ahead } = self.form;
        let ring_rows = side + ahead;
        let first = self.windows * stride;
        let starts: [usize; 3] = std::array::from_fn(|u| (first + u.min(side - 1)).min(rows - 1) % ring_rows * width * lanes);
        let out_width = self.form.pooled_width();
        for j in 0..out_width {
            let columns: [usize; 3] = std::array::from_fn(|v| (j * stride + v.min(side - 1)).min(width - 1) * lanes);
            for lane in (0..lanes).step_by(V::LANES) {
                let mut best = V::splat(f32::NEG_INFINITY);
                for start in &starts[..side] {
                    for column in &columns[..side] {
                        // SAFETY: row and column are inside the ring, whose length `new` checked.
                        best = unsafe { V::load(self.ring.as_ptr().add(start + column + lane)) }.larger(best);
                    }
                }
                // SAFETY: after the pixels held there is room for `ahead` rows, and pooled rows are no longer
                // than those.
                unsafe { best.store(self.pixels.as_mut_ptr().add((self.held + j) * lanes + lane)) };
            }
        }
        self.held += out_width;
        self.windows += 1;
    }

    #[inline(always)]
    fn flush_if<V: Vector>(&mut self, last: bool) {
        if self.held >= GATHERED || last {
            self.flush::<V>();
        }
    }

    /// Transposes the gathered pixels to planes.
    #[inline(always)]
    fn flush<V: Vector>(&mut self) {
        let lanes = self.form.lanes;
        let channels = (self.y.planes() - self.first).min(lanes);
        assert!(self.written + self.held <= self.y.len(), "no more pixels than the planes have");
        let stride = self.y.stride();
        for start in (0..self.held).step_by(V::LANES) {
            let n = (self.held - start).min(V::LANES);
            for lane in (0..channels).step_by(V::LANES) {
                // SAFETY: after the pixels held there are at least 16 more; `n` pixels of the planes are
                // still to be written.
                unsafe {
                    let from = self.pixels.as_ptr().add(start * lanes + lane);
                    let to = self.y.as_mut_ptr().add((self.first + lane) * stride + self.written + start);
                    flush_block::<V>(from, lanes, to, stride, n, (channels - lane).min(V::LANES));
                }
            }
        }
        self.written += self.held;
        self.held = 0;
    }
}

/// Transposes `LANES` pixels, `step` apart, to `channels` planes, `stride` apart, and writes `n` pixels of
/// each.
///
/// # Safety
///
/// `LANES` vectors `step` apart must be readable, and `n` elements of each plane writable.
#[inline(always)]
unsafe fn flush_block<V: Vector>(from: *const f32, step: usize, to: *mut f32, stride: usize, n: usize, channels: usize) {
    // SAFETY: by contract.
    unsafe {
        let mut rows = [V::splat(0.0); 16];
        for (i, row) in rows.iter_mut().enumerate().take(V::LANES) {
            *row = V::load(from.add(i * step));
        }
        transpose(&mut rows);
        for (i, row) in rows.iter().enumerate().take(V::LANES) {
            if i < channels {
                row.store_first(to.add(i * stride), n);
            }
        }
    }
}
