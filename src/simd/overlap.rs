//! Detection of boxes that overlap by more than a threshold.

use super::{Task, Vector};

/// Number of planes that store boxes by coordinate, padded to whole words of 32: `x1`, `y1`, `-x2`, `-y2`,
/// minus the area, and the rank, which is -1 for boxes that do not take part. With the signs inverted, the
/// smaller of two values is minus the larger.
pub(crate) const PLANES: usize = 6;

/// Computes one row of the matrix of overlaps: bit `j` is set if box `j` ranks after box `mine` and overlaps
/// it by more than `threshold`.
pub(crate) struct OverlapRow<'a> {
    /// Planes of equal length, a multiple of 32.
    pub planes: [&'a [f32]; PLANES],
    /// Index of the row's box.
    pub mine: usize,
    /// Largest tolerated overlap.
    pub threshold: f32,
    /// Whether the overlap is relative to the smaller box instead of the union.
    pub smaller: bool,
    /// Bits, one word per 32 boxes.
    pub row: &'a mut [f32],
}

impl Task for OverlapRow<'_> {
    type Output = ();

    /// Computes operation by operation like the reference, so that every comparison has the same result.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let Self { planes, mine, threshold, smaller, row } = self;
        assert!(planes.iter().all(|plane| plane.len() == 32 * row.len()), "whole words");
        let [x1, y1, x2, y2, area, rank] = planes.map(|plane| V::splat(plane[mine]));
        let (zero, one, threshold) = (V::splat(0.0), V::splat(1.0), V::splat(threshold));
        for (w, word) in row.iter_mut().enumerate() {
            let mut bits = 0;
            for part in (0..32).step_by(V::LANES) {
                // SAFETY: `LANES` divides 32; every plane has 32 elements for this word.
                let [a, b, c, d, n, r] = planes.map(|plane| unsafe { V::load(plane.as_ptr().add(w * 32 + part)) });
                let width = zero.sub(c.larger(x2)).sub(a.larger(x1)).add(one).larger(zero);
                let height = zero.sub(d.larger(y2)).sub(b.larger(y1)).add(one).larger(zero);
                let shared = width.mul_add(height, zero);
                let whole = if smaller { zero.sub(n.larger(area)) } else { zero.sub(n.add(area)).sub(shared) };
                bits |= (shared.above(threshold.mul_add(whole, zero)) & r.above(rank)) << part;
            }
            *word = f32::from_bits(bits);
        }
    }
}
