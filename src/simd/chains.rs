//! Multiply-adds and nothing else: what the machine can do.

use super::{Task, Vector};

/// Several independent chains `a <- a factor + x` per element, and their mean.
pub(crate) struct Chains<'a> {
    /// Elements.
    pub x: &'a [f32],
    /// Turns of every chain.
    pub turns: u32,
    /// Less than one.
    pub factor: f32,
    /// As long as `x`.
    pub y: &'a mut [f32],
}

/// Chains: enough to hide the latency of two units of four cycles, few enough for 16 registers.
pub(crate) const CHAINS: usize = 12;

impl Task for Chains<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(self) {
        let (factor, one, mean) = (V::splat(self.factor), V::splat(1.0), V::splat(1.0 / CHAINS as f32));
        for (y, x) in self.y.chunks_mut(V::LANES).zip(self.x.chunks(V::LANES)) {
            // SAFETY: a chunk has at most `LANES` elements.
            let x = unsafe { V::load_first(x.as_ptr(), x.len()) };
            let mut chains: [V; CHAINS] = std::array::from_fn(|j| x.mul_add(one, V::splat(j as f32)));
            for _ in 0..self.turns {
                chains = chains.map(|a| a.mul_add(factor, x));
            }
            let sum = chains.into_iter().fold(V::splat(0.0), |sum, a| a.mul_add(mean, sum));
            // SAFETY: as above.
            unsafe { sum.store_first(y.as_mut_ptr(), y.len()) };
        }
    }
}
