//! Transformations of Winograd's minimal filtering F(m, k): `m` outputs of a filter of `k` taps along a line
//! from `m + k - 1` products instead of `m k` (Lavin and Gray 2015, section 4).
//!
//! `y = Aᵀ [(G g) ⊙ (Bᵀ d)]` for a filter `g` and inputs `d`, by interpolation at `m + k - 1` points. They
//! are chosen so that the largest row sum of `|Aᵀ| (|G| 1 ⊙ |Bᵀ| 1)`, by which rounding errors grow, is
//! small; the shortest tiles use 0, ±1 and infinity. For a square, columns are transformed first, then rows.

use super::Vector;

/// Marks the sizes for which there are transformations.
pub(super) struct Minimal;

/// F(M, K) on tiles of `T = M + K - 1` inputs, for each lane of a vector.
pub(super) trait Filtering<const K: usize, const M: usize, const T: usize> {
    /// Returns `G g`.
    fn filter<V: Vector>(g: [V; K]) -> [V; T];

    /// Returns `Bᵀ d`.
    fn input<V: Vector>(d: [V; T]) -> [V; T];

    /// Returns `Aᵀ m`.
    fn output<V: Vector>(m: [V; T]) -> [V; M];
}

/// Returns `value * factor`.
#[inline(always)]
fn times<V: Vector>(value: V, factor: f32) -> V {
    value.mul_add(V::splat(factor), V::splat(0.0))
}

/// Returns `value * factor + addend`.
#[inline(always)]
fn plus<V: Vector>(value: V, factor: f32, addend: V) -> V {
    value.mul_add(V::splat(factor), addend)
}

impl Filtering<2, 3, 4> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 2]) -> [V; 4] {
        [g[0], times(g[0].add(g[1]), 0.5), times(g[0].sub(g[1]), 0.5), g[1]]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 4]) -> [V; 4] {
        [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[3].sub(d[1])]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 4]) -> [V; 3] {
        let sum = m[1].add(m[2]);
        [m[0].add(sum), m[1].sub(m[2]), sum.add(m[3])]
    }
}

impl Filtering<3, 2, 4> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 3]) -> [V; 4] {
        let sum = g[0].add(g[2]);
        [g[0], times(sum.add(g[1]), 0.5), times(sum.sub(g[1]), 0.5), g[2]]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 4]) -> [V; 4] {
        [d[0].sub(d[2]), d[1].add(d[2]), d[2].sub(d[1]), d[3].sub(d[1])]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 4]) -> [V; 2] {
        [m[0].add(m[1]).add(m[2]), m[1].sub(m[2]).add(m[3])]
    }
}

/// Returns `even + point odd` and `even - point odd`: a polynomial at a point and at its opposite.
#[inline(always)]
fn both<V: Vector>(even: V, odd: V, point: f32) -> [V; 2] {
    [plus(odd, point, even), plus(odd, -point, even)]
}

/// The points are ±1/4, ±3/2 and infinity.
impl Filtering<3, 3, 5> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 3]) -> [V; 5] {
        let near = both(times(plus(g[2], 0.0625, g[0]), -1.0 / 1.09375), times(g[1], -1.0 / 1.09375), 0.25);
        let far = both(times(plus(g[2], 2.25, g[0]), 1.0 / 6.5625), times(g[1], 1.0 / 6.5625), 1.5);
        [near[0], near[1], far[0], far[1], g[2]]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 5]) -> [V; 5] {
        let (even, odd) = (plus(d[0], -2.25, d[2]), plus(d[1], -2.25, d[3]));
        let (far_even, far_odd) = (plus(d[0], -0.0625, d[2]), plus(d[1], -0.0625, d[3]));
        [
            plus(even, 0.25, odd),
            times(even, 0.25).sub(odd),
            plus(far_even, 1.5, far_odd),
            times(far_even, 1.5).sub(far_odd),
            plus(d[0], 0.140_625, plus(d[2], -2.3125, d[4])),
        ]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 5]) -> [V; 3] {
        let (near, far) = (m[0].add(m[1]), m[2].add(m[3]));
        let odd = plus(m[2].sub(m[3]), 1.5, times(m[0].sub(m[1]), 0.25));
        [near.add(far), odd, plus(far, 2.25, plus(near, 0.0625, m[4]))]
    }
}

/// The points are 0, ±1/2, ±2 and infinity.
impl Filtering<3, 4, 6> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 3]) -> [V; 6] {
        let near = both(times(plus(g[2], 0.25, g[0]), -1.0 / 1.875), times(g[1], -1.0 / 1.875), 0.5);
        let far = both(times(plus(g[2], 4.0, g[0]), 1.0 / 30.0), times(g[1], 1.0 / 30.0), 2.0);
        [g[0], near[0], near[1], far[0], far[1], g[2]]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 6]) -> [V; 6] {
        let near = both(plus(d[2], -4.0, d[4]), plus(d[1], -4.0, d[3]), 0.5);
        let far = both(plus(d[2], -0.25, d[4]), plus(d[1], -0.25, d[3]), 2.0);
        let (first, last) = (plus(d[2], -4.25, d[0].add(d[4])), plus(d[3], -4.25, d[1].add(d[5])));
        [first, near[0], near[1], far[0], far[1], last]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 6]) -> [V; 4] {
        let (near, near_odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (far, far_odd) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(near).add(far),
            plus(far_odd, 2.0, times(near_odd, 0.5)),
            plus(far, 4.0, times(near, 0.25)),
            plus(far_odd, 8.0, plus(near_odd, 0.125, m[5])),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::portable::F32x4;

    /// Returns the columns of a linear map.
    fn columns<const FROM: usize, const TO: usize>(map: impl Fn([F32x4; FROM]) -> [F32x4; TO]) -> [[f32; TO]; FROM] {
        std::array::from_fn(|i| map(std::array::from_fn(|j| F32x4::splat(f32::from(u8::from(i == j))))).map(first))
    }

    fn first(vector: F32x4) -> f32 {
        let mut lanes = [0.0; 4];
        // SAFETY: there is room for four lanes.
        unsafe { vector.store(lanes.as_mut_ptr()) };
        lanes[0]
    }

    /// Returns the largest error of any output for unit filters and inputs, and the growth of errors.
    fn check<const K: usize, const M: usize, const T: usize>() -> (f32, f32)
    where
        Minimal: Filtering<K, M, T>,
    {
        let (g, b, a) = (columns(Minimal::filter::<F32x4>), columns(Minimal::input::<F32x4>), columns(Minimal::output::<F32x4>));
        let mut worst = 0.0_f32;
        for (k, d, i) in (0..K).flat_map(|k| (0..T).flat_map(move |d| (0..M).map(move |i| (k, d, i)))) {
            let got: f32 = (0..T).map(|t| a[t][i] * g[k][t] * b[d][t]).sum();
            worst = worst.max((got - f32::from(u8::from(i + k == d))).abs());
        }
        let sum = |t: usize| g.iter().map(|g| g[t].abs()).sum::<f32>() * b.iter().map(|b| b[t].abs()).sum::<f32>();
        let row = |i: usize| (0..T).map(|t| a[t][i].abs() * sum(t)).sum::<f32>();
        (worst, (0..M).map(row).fold(0.0, f32::max))
    }

    #[test]
    fn products_are_those_of_the_filter_and_errors_grow_as_stated() {
        let found = [check::<2, 3, 4>(), check::<3, 2, 4>(), check::<3, 3, 5>(), check::<3, 4, 6>()];
        for ((worst, growth), stated) in found.into_iter().zip([6.0, 8.0, 13.6, 22.0]) {
            assert!(worst < 4.0 * f32::EPSILON * stated, "{worst}");
            assert!((growth - stated).abs() < 0.01, "{growth}, stated {stated}");
        }
    }
}
