//! Max pooling of planes.

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

/// Elements that leave the first columns as they are and exclude those after them.
const EDGE: [f32; 32] = {
    let mut edge = [f32::NEG_INFINITY; 32];
    let mut i = 0;
    while i < 16 {
        edge[i] = 0.0;
        i += 1;
    }
    edge
};

impl Task for PoolPlane<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { width, side, y_w, .. } = self;
        assert!((2..=3).contains(&side) && width > 0 && y_w > 0 && 2 * (y_w - 1) < width, "windows of this kind");
        // A window's first two columns, in two vectors, and the same moved to its third one.
        if side == 2 { self.pool::<V, 2>() } else { self.pool::<V, 4>() }
    }
}

impl PoolPlane<'_> {
    /// Compares rows first, in `PARTS` vectors, then columns: even ones, odd ones, and the even ones after.
    #[inline(always)]
    fn pool<V: Vector, const PARTS: usize>(self) {
        let Self { x, width, side, y, y_w } = self;
        for column in (0..y_w).step_by(V::LANES) {
            let (mut starts, mut counts, mut edges) = ([0; PARTS], [0; PARTS], [V::splat(0.0); PARTS]);
            for k in 0..PARTS {
                starts[k] = (2 * column + k / 2 * 2 + k % 2 * V::LANES).min(width);
                counts[k] = (width - starts[k]).min(V::LANES);
                // SAFETY: a vector that starts `counts[k]` elements before the table's middle ends in it.
                edges[k] = unsafe { V::load(EDGE.as_ptr().add(EDGE.len() / 2 - counts[k])) };
            }
            for (i, y) in y.chunks_exact_mut(y_w).enumerate() {
                let rows = &x[2 * i * width..];
                let mut best = [V::splat(f32::NEG_INFINITY); PARTS];
                for row in 0..(rows.len() / width).min(side) {
                    for k in 0..PARTS {
                        // SAFETY: this row is there, and so many columns of it from the start.
                        best[k] = unsafe { V::load_first(rows.as_ptr().add(row * width + starts[k]), counts[k]) }.larger(best[k]);
                    }
                }
                for k in 0..PARTS {
                    best[k] = best[k].add(edges[k]);
                }
                let [even, odd] = best[0].deinterleave(best[1]);
                let [next, _] = best[PARTS - 2].deinterleave(best[PARTS - 1]);
                let largest = next.larger(odd.larger(even));
                // SAFETY: so many columns of the row of results are left.
                unsafe { largest.store_first(y.as_mut_ptr().add(column), (y_w - column).min(V::LANES)) };
            }
        }
    }
}
