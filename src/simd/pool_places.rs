//! PReLU with max pooling behind it, which keeps where the largest were.

use super::{Task, Vector};

/// Windows `K x K`, `K` 2 or 3, two apart, over one plane; those that stick out see only what exists.
pub(crate) struct PoolPlaces<'a, const K: usize> {
    /// Rows and columns of `z`, then of the results.
    pub size: [usize; 4],
    /// Pre-activations.
    pub z: &'a [f32],
    /// Of the PReLU.
    pub slope: f32,
    /// Largest activation of each window; written. A NaN is never the largest.
    pub y: &'a mut [f32],
    /// The first element of the window that has it, in raster order, before its activation; written.
    pub best: &'a mut [f32],
    /// Words: that element's number in the window, row by row; written.
    pub places: &'a mut [f32],
}

/// The first largest of some elements of each window.
#[derive(Clone, Copy)]
struct FirstLargest<V> {
    y: V,
    z: V,
    place: V,
}

impl<V: Vector> FirstLargest<V> {
    /// Or one of those behind, whose numbers start at `ahead`.
    #[inline(always)]
    fn or(self, behind: Self, ahead: usize) -> Self {
        let place = behind.place.add(V::splat(ahead as f32));
        Self {
            y: behind.y.larger(self.y),
            z: behind.y.where_above(self.y, behind.z, self.z),
            place: behind.y.where_above(self.y, place, self.place),
        }
    }

    /// A single element.
    #[inline(always)]
    fn one(z: V, slope: V) -> Self {
        Self { y: z.prelu(slope).larger(V::splat(f32::NEG_INFINITY)), z, place: V::splat(0.0) }
    }
}

/// As much as there is of two vectors from `at` on: even elements, and odd ones.
#[inline(always)]
fn pairs<V: Vector>(z: &[f32], at: usize) -> [V; 2] {
    let low = &z[at.min(z.len())..];
    let high = &low[V::LANES.min(low.len())..];
    // SAFETY: as many elements are left as is said.
    unsafe {
        if high.len() >= V::LANES {
            return V::load(low.as_ptr()).deinterleave(V::load(high.as_ptr()));
        }
        V::load_first(low.as_ptr(), low.len().min(V::LANES)).deinterleave(V::load_first(high.as_ptr(), high.len()))
    }
}

/// 1 for windows from `first` on whose column `column` exists, 0 for others.
#[inline(always)]
fn existing<V: Vector>(first: usize, column: usize, z_w: usize) -> V {
    let mut exists = [0.0_f32; 16];
    let count = z_w.saturating_sub(column).div_ceil(2).saturating_sub(first).min(16);
    exists[..count].fill(1.0);
    // SAFETY: `LANES` divides 16.
    unsafe { V::load(exists.as_ptr()) }
}

impl<const K: usize> Task for PoolPlaces<'_, K> {
    type Output = ();

    /// Row by row, each of which the windows above and below share if `K` is 3.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [z_h, z_w, y_h, y_w] = self.size;
        assert!((2..=3).contains(&K) && y_h > 0 && 2 * (y_h - 1) < z_h && 2 * (y_w - 1) < z_w, "windows of this kind");
        assert!(self.z.len() == z_h * z_w && [&self.y, &self.best, &self.places].iter().all(|to| to.len() == y_h * y_w), "planes");
        for column in (0..y_w).step_by(V::LANES) {
            let n = (y_w - column).min(V::LANES);
            let exists = [existing(column, 1, z_w), existing(column, 2, z_w)];
            let mut above = self.line::<V>(0, column, exists);
            for i in 0..y_h {
                // Rows that do not exist are the last one again, of which nothing is larger than before.
                let mut first = above.or(self.line(2 * i + 1, column, exists), K);
                above = self.line(2 * i + 2, column, exists);
                if K == 3 {
                    first = first.or(above, 2 * K);
                }
                let at = i * y_w + column;
                // SAFETY: `n` windows of this row are left from `at` on.
                unsafe {
                    first.y.store_first(self.y.as_mut_ptr().add(at), n);
                    first.z.store_first(self.best.as_mut_ptr().add(at), n);
                    first.place.store_whole(self.places.as_mut_ptr().add(at).cast(), n);
                }
            }
        }
    }
}

impl<const K: usize> PoolPlaces<'_, K> {
    /// The first largest of row `row` in each of a vector of windows from `column` on.
    #[inline(always)]
    fn line<V: Vector>(&self, row: usize, column: usize, exists: [V; 2]) -> FirstLargest<V> {
        let [z_h, z_w, ..] = self.size;
        let (slope, zero) = (V::splat(self.slope), V::splat(0.0));
        let at = row.min(z_h - 1) * z_w + 2 * column;
        let [even, odd] = pairs::<V>(self.z, at);
        // Columns that do not exist are the first one again.
        let first = FirstLargest::one(even, slope).or(FirstLargest::one(exists[0].where_above(zero, odd, even), slope), 1);
        if K < 3 {
            return first;
        }
        let [next, _] = pairs::<V>(self.z, at + 2);
        first.or(FirstLargest::one(exists[1].where_above(zero, next, even), slope), 2)
    }
}
