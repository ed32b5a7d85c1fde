//! Multiply-adds without memory traffic, to measure the peak rate of the machine.

use super::{Task, Vector};

/// Computes several independent chains `a <- a factor + x` per element, and their mean.
pub(crate) struct Chains<'a> {
    /// Input elements.
    pub x: &'a [f32],
    /// Number of turns of every chain.
    pub turns: u32,
    /// Factor of the chains, less than one.
    pub factor: f32,
    /// Results, as many as elements of `x`.
    pub y: &'a mut [f32],
}

/// Number of chains: enough to hide the latency of two units of four cycles, and few enough for 16 registers.
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
