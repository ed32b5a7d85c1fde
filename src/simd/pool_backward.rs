//! Gradient of max pooling, windows two apart.

use super::{Task, Vector};

/// One plane, windows `K x K`, `K` 2 or 3.
pub(crate) struct PoolBackward<'a, const K: usize> {
    /// Rows and columns of `x`, then of `dy`.
    pub size: [usize; 4],
    /// Input of the pooling.
    pub x: &'a [f32],
    /// Gradient of its result.
    pub dy: &'a [f32],
    /// Added to.
    pub dx: &'a mut [f32],
}

/// Windows that are looked at together, and the columns that they cover.
const WINDOWS: usize = 16;
const COLUMNS: usize = 2 * WINDOWS + 2;

impl<const K: usize> Task for PoolBackward<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let [_, _, y_h, y_w] = self.size;
        for i in 0..y_h {
            for first in (0..y_w).step_by(WINDOWS) {
                self.windows(i, first, WINDOWS.min(y_w - first));
            }
        }
    }
}

impl<const K: usize> PoolBackward<'_, K> {
    /// `count` windows of row `i`, from `first` on. Even and odd columns are kept apart: then windows are lanes.
    #[inline(always)]
    fn windows(&mut self, i: usize, first: usize, count: usize) {
        let [x_h, x_w, _, y_w] = self.size;
        let width = (2 * count + K - 2).min(x_w - 2 * first);
        let mut rows = [[f32::NEG_INFINITY; COLUMNS]; K];
        for (row, x) in rows.iter_mut().zip(self.x.chunks_exact(x_w).take(x_h).skip(2 * i)) {
            row[..width].copy_from_slice(&x[2 * first..][..width]);
        }
        let mut dy = [0.0_f32; WINDOWS];
        dy[..count].copy_from_slice(&self.dy[i * y_w + first..][..count]);
        let mut best: [f32; WINDOWS] = std::array::from_fn(|j| rows[0][2 * j]);
        let mut place = [0_u32; WINDOWS];
        for t in 1..K * K {
            let (row, v) = (&rows[t / K], t % K);
            for j in 0..WINDOWS {
                let value = row[2 * j + v];
                let larger = value > best[j];
                best[j] = if larger { value } else { best[j] };
                place[j] = if larger { t as u32 } else { place[j] };
            }
        }
        for (r, dx) in self.dx.chunks_exact_mut(x_w).take(x_h).skip(2 * i).take(K).enumerate() {
            let share = |v: usize| -> [f32; WINDOWS] { std::array::from_fn(|j| if place[j] == (r * K + v) as u32 { dy[j] } else { 0.0 }) };
            let (even, odd) = (share(0), share(1));
            let mut row = [0.0_f32; COLUMNS];
            for j in 0..WINDOWS {
                row[2 * j] = even[j];
                row[2 * j + 1] = odd[j];
            }
            if K == 3 {
                let next = share(2);
                for j in 0..WINDOWS {
                    row[2 * j + 2] += next[j];
                }
            }
            dx[2 * first..][..width].iter_mut().zip(&row).for_each(|(dx, d)| *dx += d);
        }
    }
}
