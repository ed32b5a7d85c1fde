//! Gradient of PReLU with max pooling behind it, windows two apart.

use super::scratch::Scratch;
use super::{Task, Vector};

/// One plane, windows `K x K`, `K` 2 or 3.
pub(crate) struct PoolBackward<'a, const K: usize> {
    /// Rows and columns of `dz`, then of `dy`.
    pub size: [usize; 4],
    /// By window, the pre-activation of its first maximum.
    pub best: &'a [f32],
    /// Words: its number in the window, row by row.
    pub places: &'a [f32],
    /// Of the PReLU.
    pub slope: f32,
    /// Gradient of the pooling's result.
    pub dy: &'a [f32],
    /// Gradient of the pre-activations; written.
    pub dz: &'a mut [f32],
    /// Every `channels`-th is added to: of each column of windows the sum of `min(best, 0) dy`, and nothing
    /// for a column behind them.
    pub sums: &'a mut [f32],
    /// From one sum to the next.
    pub channels: usize,
}

/// Gradients on their way: what passes the PReLU as it is, and what its slope is for. An element's are all of
/// one kind, since they come from windows with one maximum.
#[derive(Clone, Copy)]
struct PassedShare<V> {
    whole: V,
    sloped: V,
}

impl<V: Vector> PassedShare<V> {
    #[inline(always)]
    fn none() -> Self {
        Self { whole: V::splat(0.0), sloped: V::splat(0.0) }
    }

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { whole: self.whole.add(other.whole), sloped: self.sloped.add(other.sloped) }
    }

    /// One column to the right, where `before` are the windows to the left.
    #[inline(always)]
    fn moved(self, before: Self) -> Self {
        Self { whole: self.whole.moved(before.whole), sloped: self.sloped.moved(before.sloped) }
    }

    #[inline(always)]
    fn passed(self, slope: V) -> V {
        self.sloped.mul_add(slope, self.whole)
    }
}

/// A vector of neighbouring windows.
#[derive(Clone, Copy)]
struct WindowVector<V> {
    place: V,
    dy: PassedShare<V>,
    /// What they add to the slope's gradient.
    part: V,
}

impl<V: Vector> WindowVector<V> {
    #[inline(always)]
    fn none() -> Self {
        Self { place: V::splat(0.0), dy: PassedShare::none(), part: V::splat(0.0) }
    }

    /// What the element `place` of each window gets.
    #[inline(always)]
    fn share(self, place: usize) -> PassedShare<V> {
        let place = V::splat(place as f32);
        PassedShare { whole: self.place.where_equal(place, self.dy.whole), sloped: self.place.where_equal(place, self.dy.sloped) }
    }
}

impl<const K: usize> Task for PoolBackward<'_, K> {
    type Output = ();

    /// A gather over blocks of `2 x 2` elements: of the windows that start there, above, to the left, and
    /// above to the left.
    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let [z_h, z_w, y_h, y_w] = self.size;
        let blocks = z_w.div_ceil(2);
        assert!((2..=3).contains(&K) && y_h > 0 && y_w > 0, "windows of this kind");
        assert!(z_h.div_ceil(2) <= y_h + 1 && blocks <= y_w + 1, "no row or column behind the windows");
        assert!([self.best, self.places, self.dy].iter().all(|from| from.len() == y_h * y_w) && self.dz.len() == z_h * z_w, "planes");
        let mut memory = Scratch::take();
        let [parts] = memory.parts([blocks.next_multiple_of(V::LANES)]);
        parts.fill(0.0);
        for i in 0..z_h.div_ceil(2) {
            let mut left = [PassedShare::<V>::none(); 2];
            for (column, parts) in (0..blocks).step_by(V::LANES).zip(parts.chunks_exact_mut(V::LANES)) {
                let here = if i < y_h { self.windows::<V>(i, column) } else { WindowVector::none() };
                let above = if K == 3 && i > 0 { self.windows::<V>(i - 1, column) } else { WindowVector::none() };
                // SAFETY: `parts` has `LANES` elements.
                unsafe { V::load(parts.as_ptr()).add(here.part).store(parts.as_mut_ptr()) };
                let mut upper = [above.share(2 * K).add(here.share(0)), above.share(2 * K + 1).add(here.share(1))];
                let mut lower = [here.share(K), here.share(K + 1)];
                if K == 3 {
                    let right = [above.share(8).add(here.share(2)), here.share(5)];
                    upper[0] = upper[0].add(right[0].moved(left[0]));
                    lower[0] = lower[0].add(right[1].moved(left[1]));
                    left = right;
                }
                self.write(2 * i, column, upper);
                if 2 * i + 1 < z_h {
                    self.write(2 * i + 1, column, lower);
                }
            }
        }
        self.sums.iter_mut().step_by(self.channels).zip(&parts[..blocks]).for_each(|(sum, part)| *sum += part);
    }
}

impl<const K: usize> PoolBackward<'_, K> {
    /// Those of row `i` from `column` on; nothing comes from where there are none.
    #[inline(always)]
    fn windows<V: Vector>(&self, i: usize, column: usize) -> WindowVector<V> {
        let [.., y_w] = self.size;
        let (at, n, zero) = (i * y_w + column, (y_w - column).min(V::LANES), V::splat(0.0));
        // SAFETY: `n` windows of the row are left from `at` on.
        let (best, dy, [place, ..]) = unsafe {
            (
                V::load_first(self.best.as_ptr().add(at), n),
                V::load_first(self.dy.as_ptr().add(at), n),
                V::load_bytes(self.places.as_ptr().add(at).cast(), n),
            )
        };
        let dy = PassedShare { whole: best.where_above(zero, dy, zero), sloped: best.where_above(zero, zero, dy) };
        WindowVector { place, dy, part: best.where_above(zero, zero, best).mul_add(dy.sloped, zero) }
    }

    /// Elements of row `row` in the blocks from `column` on: even ones, and odd ones.
    #[inline(always)]
    fn write<V: Vector>(&mut self, row: usize, column: usize, [even, odd]: [PassedShare<V>; 2]) {
        let z_w = self.size[1];
        let slope = V::splat(self.slope);
        let [low, high] = even.passed(slope).interleave(odd.passed(slope));
        let [first, next] = [2 * column, (2 * column + V::LANES).min(z_w)];
        // SAFETY: as many columns of the row are left as is said.
        unsafe {
            let to = self.dz.as_mut_ptr().add(row * z_w);
            low.store_first(to.add(first), (z_w - first).min(V::LANES));
            high.store_first(to.add(next), (z_w - next).min(V::LANES));
        }
    }
}
