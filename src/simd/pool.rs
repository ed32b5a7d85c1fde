//! Rows of max pooling.

use super::{Task, Vector};

/// One row of windows `K x K`, `S` apart; windows that stick out see only what exists.
pub(crate) struct PoolRow<'a, const K: usize, const S: usize> {
    /// Input rows of the windows, at most `K`, each `width` long.
    pub x: &'a [f32],
    /// Columns of the input.
    pub width: usize,
    /// As long as a row of `x`: the largest of each column.
    pub columns: &'a mut [f32],
    /// A row of results.
    pub y: &'a mut [f32],
}

impl<const K: usize, const S: usize> Task for PoolRow<'_, K, S> {
    type Output = ();

    /// Columns first, which vectorises, then neighbours among them.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let larger = |best: f32, v: f32| if v > best { v } else { best };
        let columns = &mut self.columns[..self.width];
        columns.fill(f32::NEG_INFINITY);
        for row in self.x.chunks_exact(self.width) {
            columns.iter_mut().zip(row).for_each(|(best, v)| *best = larger(*best, *v));
        }
        let whole = (self.width.saturating_sub(K) / S + usize::from(self.width >= K)).min(self.y.len());
        let (inside, edge) = self.y.split_at_mut(whole);
        for (j, y) in inside.iter_mut().enumerate() {
            let window: &[f32] = &columns[j * S..j * S + K];
            *y = window.iter().fold(f32::NEG_INFINITY, |best, v| larger(best, *v));
        }
        for (j, y) in edge.iter_mut().enumerate() {
            *y = columns[(whole + j) * S..].iter().fold(f32::NEG_INFINITY, |best, v| larger(best, *v));
        }
    }
}
