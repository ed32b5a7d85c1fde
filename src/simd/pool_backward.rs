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

/// Rows with even columns apart from odd ones, `half` elements each.
#[derive(Clone, Copy)]
struct Split {
    half: usize,
}

impl Split {
    /// Activations: even columns, odd ones.
    const ACTIVE: usize = 2;
    /// Gradients: of even columns, of odd ones, and again of even ones, one place to the right: what windows give their third column.
    const THROUGH: usize = 3;

    /// Wide enough for whole vectors of `windows` and a column behind them.
    fn new<V: Vector>(windows: usize) -> Self {
        Self { half: (windows + 1).next_multiple_of(V::LANES) + V::LANES }
    }
}

impl<const K: usize> Task for PoolBackward<'_, K> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let [z_h, z_w, y_h, y_w] = self.size;
        assert!((2..=3).contains(&K) && 2 * (y_h - 1) < z_h && 2 * (y_w - 1) < z_w, "windows of this kind");
        assert!(z_h < 2 * y_h + K - 1 && z_w < 2 * y_w + K - 1, "no row or column behind the windows");
        assert!(self.z.len() == z_h * z_w && self.dz.len() == z_h * z_w && self.dy.len() == y_h * y_w, "planes of these sizes");
        let (rows, split) = (2 * y_h + 1, Split::new::<V>(y_w));
        let mut memory = Scratch::take();
        let [active, through] = memory.parts([Split::ACTIVE, Split::THROUGH].map(|parts| rows * parts * split.half));
        self.activate::<V>(active, split);
        through.fill(0.0);
        let (from, to) = (Split::ACTIVE * split.half, Split::THROUGH * split.half);
        for (i, dy) in self.dy.chunks_exact(y_w).enumerate() {
            for column in (0..y_w).step_by(V::LANES) {
                // SAFETY: three rows from `2 i` on exist, each part of which has a vector from `column` on and an element behind it.
                unsafe {
                    let dy = V::load_first(dy.as_ptr().add(column), (y_w - column).min(V::LANES));
                    let (active, through) = (active.as_ptr().add(2 * i * from + column), through.as_mut_ptr().add(2 * i * to + column));
                    windows::<V, K>(active, dy, through, split);
                }
            }
        }
        self.pass::<V>(through, split);
    }
}

/// Gives each of a vector of windows' gradients `dy` to the window's first maximum.
///
/// # Safety
///
/// `K` rows of activations are readable at `from`, of gradients writable at `to`, in each part a vector and an element.
#[inline(always)]
unsafe fn windows<V: Vector, const K: usize>(from: *const f32, mut dy: V, to: *mut f32, Split { half }: Split) {
    let mut values = [V::splat(0.0); 9];
    let mut best = V::splat(f32::NEG_INFINITY);
    for r in 0..K {
        // SAFETY: by contract.
        unsafe {
            let row = from.add(r * Split::ACTIVE * half);
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
                let to = to.add(r * Split::THROUGH * half + v * half + v / 2);
                V::load(to).add(share).store(to);
            }
        }
    }
}

impl<const K: usize> PoolBackward<'_, K> {
    /// Activations of `z`, split; absent elements win nothing.
    #[inline(always)]
    fn activate<V: Vector>(&self, active: &mut [f32], Split { half }: Split) {
        let [z_h, z_w, _, y_w] = self.size;
        let [even, odd] = [z_w.div_ceil(2), z_w / 2];
        assert!(even <= y_w + 1 && y_w < half - V::LANES && active.len() >= z_h * Split::ACTIVE * half, "room for all columns");
        let slope = V::splat(self.slope);
        for (row, z) in active.chunks_exact_mut(Split::ACTIVE * half).zip(self.z.chunks_exact(z_w)) {
            for column in (0..even).step_by(V::LANES) {
                // SAFETY: as many columns of `z` are left as is said; a part has a vector's room behind its last column.
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
        active[z_h * Split::ACTIVE * half..].fill(f32::NEG_INFINITY);
    }

    /// PReLU's part: `through` to `dz` and the sums.
    #[inline(always)]
    fn pass<V: Vector>(self, through: &[f32], Split { half }: Split) {
        let Self { size: [z_h, z_w, _, y_w], z, slope, dz, sums, channels, .. } = self;
        let slope = V::splat(slope);
        let row = Split::THROUGH * half;
        assert!(z_w.div_ceil(2) <= y_w + 1 && y_w < half - V::LANES && through.len() >= z_h * row, "room for all columns");
        for column in (0..z_w.div_ceil(2)).step_by(V::LANES) {
            let [first, next] = [2 * column, (2 * column + V::LANES).min(z_w)];
            let lanes = [z_w - first, z_w - next].map(|left| left.min(V::LANES));
            let mut sum = [V::splat(0.0); 2];
            for ((z, dz), through) in z.chunks_exact(z_w).zip(dz.chunks_exact_mut(z_w)).zip(through.chunks_exact(row)) {
                // SAFETY: `z` and `dz` have as many columns left as is said, a part of `through` has a vector's room behind its last.
                unsafe {
                    let through = through.as_ptr().add(column);
                    let even = V::load(through).add(V::load(through.add(2 * half)));
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
