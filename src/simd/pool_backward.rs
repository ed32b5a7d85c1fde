//! Gradient of PReLU with max pooling behind it, windows two apart.

use super::scratch::Scratch;
use super::{Task, Vector};

/// One plane, windows `K x K`, `K` 2 or 3.
pub(crate) struct PoolBackward<'a, const K: usize> {
    /// Rows and columns of `z`, then of `dy`.
    pub size: [usize; 4],
    /// Pre-activations.
    pub z: &'a [f32],
    /// Of the PReLU.
    pub slope: f32,
    /// Gradient of the pooling's result.
    pub dy: &'a [f32],
    /// Gradient of `z`; written.
    pub dz: &'a mut [f32],
    /// Every `channels`-th is added to: of each two columns the sum of `min(z, 0)` times what came through the windows.
    pub sums: &'a mut [f32],
    /// From one sum to the next.
    pub channels: usize,
}

impl<const K: usize> Task for PoolBackward<'_, K> {
    type Output = ();

    /// Activations and what comes through the windows lie in rows wide enough for whole vectors of windows; absent elements win nothing.
    #[inline(always)]
    fn run<V: Vector>(self) {
        let [z_h, z_w, y_h, y_w] = self.size;
        assert!((2..=3).contains(&K) && 2 * (y_h - 1) < z_h && 2 * (y_w - 1) < z_w, "windows of this kind");
        assert!(self.z.len() == z_h * z_w && self.dz.len() == z_h * z_w && self.dy.len() == y_h * y_w, "planes of these sizes");
        let (rows, stride) = (z_h.max(2 * y_h + 1), z_w.max(2 * y_w.next_multiple_of(V::LANES)) + 2 + 2 * V::LANES);
        let mut memory = Scratch::take();
        let [active, through] = memory.parts([rows * stride, rows * stride]);
        active[..rows * stride].fill(f32::NEG_INFINITY);
        through[..rows * stride].fill(0.0);
        for (row, z) in active.chunks_exact_mut(stride).zip(self.z.chunks_exact(z_w)) {
            for column in (0..z_w).step_by(V::LANES) {
                let n = (z_w - column).min(V::LANES);
                // SAFETY: `n` columns are left of the row; a row of `active` is longer.
                unsafe { V::load_first(z.as_ptr().add(column), n).prelu(V::splat(self.slope)).store_first(row.as_mut_ptr().add(column), n) }
            }
        }
        for (i, dy) in self.dy.chunks_exact(y_w).enumerate() {
            for column in (0..y_w).step_by(V::LANES) {
                // SAFETY: three rows from `2 i` on exist, each with two vectors and two elements behind `2 column`.
                unsafe {
                    let dy = V::load_first(dy.as_ptr().add(column), (y_w - column).min(V::LANES));
                    let at = 2 * i * stride + 2 * column;
                    windows::<V, K>(active.as_ptr().add(at), dy, through.as_mut_ptr().add(at), stride);
                }
            }
        }
        self.pass::<V>(through, stride);
    }
}

/// Gives each of a vector of windows' gradients `dy` to the window's first maximum.
///
/// # Safety
///
/// `K` rows of two vectors and two elements, `stride` apart, are readable at `from` and writable at `to`.
#[inline(always)]
unsafe fn windows<V: Vector, const K: usize>(from: *const f32, mut dy: V, to: *mut f32, stride: usize) {
    let mut values = [V::splat(0.0); 9];
    let mut best = V::splat(f32::NEG_INFINITY);
    for r in 0..K {
        // SAFETY: by contract.
        let [a, b, c] = unsafe {
            let row = from.add(r * stride);
            let [even, odd] = V::load(row).deinterleave(V::load(row.add(V::LANES)));
            let next = if K == 3 { V::load(row.add(2)).deinterleave(V::load(row.add(2 + V::LANES)))[0] } else { odd };
            [even, odd, next]
        };
        values[3 * r..3 * r + 3].copy_from_slice(&[a, b, c]);
        best = c.larger(b.larger(a.larger(best)));
    }
    for r in 0..K {
        let mut shares = [V::splat(0.0); 3];
        for v in 0..K {
            // What is left of `dy`, all or nothing.
            shares[v] = values[3 * r + v].where_equal(best, dy);
            dy = dy.sub(shares[v]);
        }
        // SAFETY: by contract.
        unsafe {
            let row = to.add(r * stride);
            add(row, shares[0].interleave(shares[1]));
            if K == 3 {
                add(row.add(2), shares[2].interleave(V::splat(0.0)));
            }
        }
    }
}

/// Adds two vectors to what is at `to`.
///
/// # Safety
///
/// It is readable and writable.
#[inline(always)]
unsafe fn add<V: Vector>(to: *mut f32, [low, high]: [V; 2]) {
    // SAFETY: by contract.
    unsafe {
        V::load(to).add(low).store(to);
        V::load(to.add(V::LANES)).add(high).store(to.add(V::LANES));
    }
}

impl<const K: usize> PoolBackward<'_, K> {
    /// PReLU's part: `through`, in rows of `stride`, to `dz` and the sums.
    #[inline(always)]
    fn pass<V: Vector>(self, through: &[f32], stride: usize) {
        let Self { size: [_, z_w, ..], z, slope, dz, sums, channels, .. } = self;
        let (zero, slope) = (V::splat(0.0), V::splat(slope));
        assert!(through.len() / stride * z_w >= z.len() && stride >= z_w + 2 * V::LANES, "rows of `z` and room behind them");
        for first in (0..z_w).step_by(2 * V::LANES) {
            let mut pairs = zero;
            for ((z, dz), through) in z.chunks_exact(z_w).zip(dz.chunks_exact_mut(z_w)).zip(through.chunks_exact(stride)) {
                let next = (first + V::LANES).min(z_w);
                // SAFETY: `z` and `dz` have as many columns left as is said, `through` has a vector's room behind its last.
                let [even, odd] = unsafe {
                    let n = (z_w - first).min(V::LANES);
                    let low = pass(z.as_ptr().add(first), through.as_ptr().add(first), slope, dz.as_mut_ptr().add(first), n);
                    let n = (z_w - next).min(V::LANES);
                    let high = pass(z.as_ptr().add(next), through.as_ptr().add(next), slope, dz.as_mut_ptr().add(next), n);
                    low.deinterleave(high)
                };
                pairs = pairs.add(even.add(odd));
            }
            let mut sum = [0.0_f32; 16];
            // SAFETY: `LANES` divides 16.
            unsafe { pairs.store(sum.as_mut_ptr()) };
            let places = sums.iter_mut().step_by(channels).skip(first / 2);
            places.zip(&sum[..V::LANES]).take((z_w - first).div_ceil(2)).for_each(|(to, sum)| *to += sum);
        }
    }
}

/// Writes `n` elements of `dz` and returns their part of the slope's gradient.
///
/// # Safety
///
/// `n` elements of `z` and a vector of `through` are readable, `n` elements of `dz` writable.
#[inline(always)]
unsafe fn pass<V: Vector>(z: *const f32, through: *const f32, slope: V, dz: *mut f32, n: usize) -> V {
    let zero = V::splat(0.0);
    // SAFETY: by contract.
    unsafe {
        let (z, d) = (V::load_first(z, n), V::load(through));
        let positive = z.larger(zero);
        let passed = d.sub(positive.where_equal(zero, d));
        positive.where_equal(zero, d.mul_add(slope, zero)).add(passed).store_first(dz, n);
        positive.where_equal(zero, z.mul_add(d, zero))
    }
}
