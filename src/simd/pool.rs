//! Max pooling of planes.

use super::scratch::Scratch;
use super::{Task, Vector};

/// Windows of `side` by `side`, 2 or 3, two apart, over one level of one plane; those that stick out see only
/// what exists.
pub(crate) struct PoolPlane<'a> {
    /// Input rows of `width`.
    pub x: &'a [f32],
    /// Columns of the input.
    pub width: usize,
    /// Side of a window.
    pub side: usize,
    /// Rows of `y_w` results.
    pub y: &'a mut [f32],
    /// Columns of the result.
    pub y_w: usize,
}

impl Task for PoolPlane<'_> {
    type Output = ();

    /// Columns first, then neighbours among them: even ones, odd ones, and the even ones after.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { x, width, side, y, y_w } = self;
        assert!((2..=3).contains(&side) && width > 0 && y_w > 0 && 2 * (y_w - 1) < width, "windows of this kind");
        let mut memory = Scratch::take();
        let most = 2 * y_w.next_multiple_of(V::LANES) + 2 + V::LANES;
        let [columns] = memory.parts([most.max(width + V::LANES)]);
        columns.fill(f32::NEG_INFINITY);
        for (i, y) in y.chunks_exact_mut(y_w).enumerate() {
            let rows = &x[2 * i * width..];
            let count = (rows.len() / width).min(side);
            for column in (0..width).step_by(V::LANES) {
                let n = (width - column).min(V::LANES);
                // SAFETY: `count` whole rows are left, `n` columns of them; `columns` has a vector's room
                // behind the last.
                unsafe {
                    let mut best = V::splat(f32::NEG_INFINITY);
                    for row in 0..count {
                        best = V::load_first(rows.as_ptr().add(row * width + column), n).larger(best);
                    }
                    best.store_first(columns.as_mut_ptr().add(column), n);
                }
            }
            for column in (0..y_w).step_by(V::LANES) {
                // SAFETY: `columns` reaches two elements behind twice the whole vectors of a row of results.
                unsafe {
                    let from = columns.as_ptr().add(2 * column);
                    let [even, odd] = V::load(from).deinterleave(V::load(from.add(V::LANES)));
                    let mut best = odd.larger(even.larger(V::splat(f32::NEG_INFINITY)));
                    if side == 3 {
                        let [next, _] = V::load(from.add(2)).deinterleave(V::load(from.add(2 + V::LANES)));
                        best = next.larger(best);
                    }
                    best.store_first(y.as_mut_ptr().add(column), (y_w - column).min(V::LANES));
                }
            }
        }
    }
}
