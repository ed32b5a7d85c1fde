//! Transformations of Winograd's minimal filtering F(m, k): `m` outputs of a filter of `k` taps along a line
//! from `m + k - 1` products instead of `m k` (Lavin and Gray 2015, section 4).
//!
//! `y = Aᵀ [(G g) ⊙ (Bᵀ d)]` for a filter `g` and inputs `d`, by interpolation at the points 0, 1, -1, 2, -2 and
//! infinity, of which shorter tiles use fewer. For a square, rows are transformed first, then columns.

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

impl Filtering<3, 3, 5> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 3]) -> [V; 5] {
        let sum = g[0].add(g[2]);
        let far = times(plus(g[2], 4.0, g[0]), 1.0 / 6.0);
        [times(g[0], 0.5), times(sum.add(g[1]), -0.5), times(g[1].sub(sum), 1.0 / 6.0), plus(g[1], 1.0 / 3.0, far), g[2]]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 5]) -> [V; 5] {
        let (odd, last) = (d[3].sub(d[1]), d[3].sub(d[2]));
        [plus(d[0].sub(d[2]), 2.0, odd), plus(d[1], -2.0, last), plus(d[1].sub(d[2]), 2.0, last), odd, plus(odd, -2.0, d[4].sub(d[2]))]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 5]) -> [V; 3] {
        let (sum, difference) = (m[1].add(m[2]), m[1].sub(m[2]));
        [m[0].add(sum).add(m[3]), plus(m[3], 2.0, difference), plus(m[3], 4.0, sum).add(m[4])]
    }
}

impl Filtering<3, 4, 6> for Minimal {
    #[inline(always)]
    fn filter<V: Vector>(g: [V; 3]) -> [V; 6] {
        let near = times(g[0].add(g[2]), -1.0 / 6.0);
        let far = times(plus(g[2], 4.0, g[0]), 1.0 / 24.0);
        [
            times(g[0], 0.25),
            plus(g[1], -1.0 / 6.0, near),
            plus(g[1], 1.0 / 6.0, near),
            plus(g[1], 1.0 / 12.0, far),
            plus(g[1], -1.0 / 12.0, far),
            g[2],
        ]
    }

    #[inline(always)]
    fn input<V: Vector>(d: [V; 6]) -> [V; 6] {
        let (near, near_odd) = (plus(d[2], -4.0, d[4]), plus(d[1], -4.0, d[3]));
        let (far, far_odd) = (d[4].sub(d[2]), d[3].sub(d[1]));
        [
            plus(d[0].sub(d[2]), 4.0, far),
            near.add(near_odd),
            near.sub(near_odd),
            plus(far_odd, 2.0, far),
            plus(far_odd, -2.0, far),
            plus(far_odd, -4.0, d[5].sub(d[3])),
        ]
    }

    #[inline(always)]
    fn output<V: Vector>(m: [V; 6]) -> [V; 4] {
        let (near, near_odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (far, far_odd) = (m[3].add(m[4]), m[3].sub(m[4]));
        [m[0].add(near).add(far), plus(far_odd, 2.0, near_odd), plus(far, 4.0, near), plus(far_odd, 8.0, near_odd).add(m[5])]
    }
}
