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

/// Elements of a row's even columns, then of its odd ones: whole vectors of `windows` and a column behind them.
#[inline(always)]
fn half<V: Vector>(windows: usize) -> usize {
    (windows + 1).next_multiple_of(V::LANES) + V::LANES
}

impl<const K: usize> Task for PoolBackward<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let [z_h, z_w, y_h, y_w] = self.size;
        assert!((2..=3).contains(&K) && 2 * (y_h - 1) < z_h && 2 * (y_w - 1) < z_w, "windows of this kind");
        assert!(z_h < 2 * y_h + K - 1 && z_w < 2 * y_w + K - 1, "no row or column behind the windows");
        assert!(self.z.len() == z_h * z_w && self.dz.len() == z_h * z_w && self.dy.len() == y_h * y_w, "planes of these sizes");
        // Activations, and what comes through the windows: by their first columns, their second, and with `K` 3 their third, which are even
        // columns again, one place to the right.
        let (rows, half) = (2 * y_h + 1, half::<V>(y_w));
        let mut memory = Scratch::take();
        let [active, through] = memory.parts([2, K].map(|parts| rows * parts * half));
        self.activate::<V>(active, half);
        through.fill(0.0);
        for (i, dy) in self.dy.chunks_exact(y_w).enumerate() {
            for column in (0..y_w).step_by(V::LANES) {
                // SAFETY: three rows from `2 i` on exist, each half of which has a vector from `column` on and an element behind it.
                unsafe {
                    let dy = V::load_first(dy.as_ptr().add(column), (y_w - column).min(V::LANES));
                    let active = active.as_ptr().add(2 * i * 2 * half + column);
                    windows::<V, K>(active, dy, through.as_mut_ptr().add(2 * i * K * half + column), half);
                }
            }
        }
        self.pass::<V>(through, half);
    }
}

/// Gives each of a vector of windows' gradients `dy` to the window's first maximum.
///
/// # Safety
///
/// `K` rows of activations are readable at `from`, of gradients writable at `to`, in each of their parts a vector and an element.
#[inline(always)]
unsafe fn windows<V: Vector, const K: usize>(from: *const f32, mut dy: V, to: *mut f32, half: usize) {
    let mut values = [V::splat(0.0); 9];
    let mut best = V::splat(f32::NEG_INFINITY);
    for r in 0..K {
        // SAFETY: by contract.
        unsafe {
            let row = from.add(r * 2 * half);
            let columns = [V::load(row), V::load(row.add(half)), V::load(row.add(1))];
            for (value, column) in values[3 * r..].iter_mut().zip(columns).take(K) {
                *value = column;
                best = column.larger(best);
            }
        }
    }
    for r in 0..K {
        for v in 0..K {
            // What is left of `dy`, all or nothing.
            let share = values[3 * r + v].where_equal(best, dy);
            dy = dy.sub(share);
            // SAFETY: by contract.
            unsafe {
                let to = to.add((r * K + v) * half + v / 2);
                V::load(to).add(share).store(to);
            }
        }
    }
}

impl<const K: usize> PoolBackward<'_, K> {
    /// Activations of `z`, even columns apart from odd ones; absent elements win nothing.
    #[inline(always)]
    fn activate<V: Vector>(&self, active: &mut [f32], half: usize) {
        let [z_h, z_w, _, y_w] = self.size;
        let [even, odd] = [z_w.div_ceil(2), z_w / 2];
        assert!(even <= y_w + 1 && y_w < half - V::LANES && active.len() >= z_h * 2 * half, "room for all columns");
        let slope = V::splat(self.slope);
        for (row, z) in active.chunks_exact_mut(2 * half).zip(self.z.chunks_exact(z_w)) {
            for column in (0..even).step_by(V::LANES) {
                // SAFETY: as many columns of `z` are left as is said; a half has a vector's room behind its last column.
                unsafe {
                    let [first, next] = [2 * column, (2 * column + V::LANES).min(z_w)];
                    let low = V::load_first(z.as_ptr().add(first), (z_w - first).min(V::LANES)).prelu(slope);
                    let high = V::load_first(z.as_ptr().add(next), (z_w - next).min(V::LANES)).prelu(slope);
                    let [low, high] = low.deinterleave(high);
                    low.store(row.as_mut_ptr().add(column));
                    high.store(row.as_mut_ptr().add(half + column));
                }
            }
            row[even] = f32::NEG_INFINITY;
            row[half + odd] = f32::NEG_INFINITY;
        }
        active[2 * z_h * half..].fill(f32::NEG_INFINITY);
    }

    /// PReLU's part: `through` to `dz` and the sums.
    #[inline(always)]
    fn pass<V: Vector>(self, through: &[f32], half: usize) {
        let Self { size: [z_h, z_w, _, y_w], z, slope, dz, sums, channels, .. } = self;
        let slope = V::splat(slope);
        let row = K * half;
        assert!(z_w.div_ceil(2) <= y_w + 1 && y_w < half - V::LANES && through.len() >= z_h * row, "room for all columns");
        for column in (0..z_w.div_ceil(2)).step_by(V::LANES) {
            let [first, next] = [2 * column, (2 * column + V::LANES).min(z_w)];
            let lanes = [z_w - first, z_w - next].map(|left| left.min(V::LANES));
            let mut sum = [V::splat(0.0); 2];
            for ((z, dz), through) in z.chunks_exact(z_w).zip(dz.chunks_exact_mut(z_w)).zip(through.chunks_exact(row)) {
                // SAFETY: `z` and `dz` have as many columns left as is said, a part of `through` has a vector's room behind its last.
                unsafe {
                    let through = through.as_ptr().add(column);
                    let mut even = V::load(through);
                    if K == 3 {
                        even = even.add(V::load(through.add(2 * half)));
                    }
                    let both = even.interleave(V::load(through.add(half)));
                    for (i, from) in [first, next].into_iter().enumerate() {
                        let part = pass(z.as_ptr().add(from), both[i], slope, dz.as_mut_ptr().add(from), lanes[i]);
                        sum[i] = sum[i].add(part);
                    }
                }
            }
            let [even, odd] = sum[0].deinterleave(sum[1]);
            let mut pairs = [0.0_f32; 16];
            // SAFETY: `LANES` divides 16.
            unsafe { even.add(odd).store(pairs.as_mut_ptr()) };
            let places = sums.iter_mut().step_by(channels).skip(column);
            places.zip(&pairs[..V::LANES]).take(z_w.div_ceil(2) - column).for_each(|(to, pair)| *to += pair);
        }
    }
}

/// Writes `n` elements of `dz`, whose activations have the gradient `d`, and returns their part of the slope's gradient.
///
/// # Safety
///
/// `n` elements of `z` are readable, `n` elements of `dz` writable.
#[inline(always)]
unsafe fn pass<V: Vector>(z: *const f32, d: V, slope: V, dz: *mut f32, n: usize) -> V {
    let zero = V::splat(0.0);
    // SAFETY: by contract.
    unsafe {
        let z = V::load_first(z, n);
        let positive = z.larger(zero);
        let passed = d.sub(positive.where_equal(zero, d));
        positive.where_equal(zero, d.mul_add(slope, zero)).add(passed).store_first(dz, n);
        positive.where_equal(zero, z.mul_add(d, zero))
    }
}
