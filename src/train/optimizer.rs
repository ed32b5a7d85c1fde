//! Optimizers and learning rates (spec section 4.8).

use crate::kernels::train::{Adam, Sgd};
use crate::nets::Parameter;
use crate::record::{Recording, Slot};

/// How parameters follow their gradient. Weight decay applies to kernels and matrices, not to biases and slopes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015), decay added to the gradient; with `decoupled`, AdamW (Loshchilov and Hutter 2019).
    Adam {
        /// Decay rates of the first and second moment.
        betas: [f64; 2],
        /// Added to the denominator.
        epsilon: f64,
        /// Weight decay.
        decay: f64,
        /// Takes decay off the weights instead of adding it to the gradient.
        decoupled: bool,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Share of the last step's velocity that is kept.
        momentum: f64,
        /// Weight decay, added to the gradient.
        decay: f64,
    },
}

impl Default for Optimizer {
    fn default() -> Self {
        Self::Adam { betas: [0.9, 0.999], epsilon: 1e-8, decay: 0.0, decoupled: false }
    }
}

impl Optimizer {
    /// Names of the moments that it keeps for each parameter.
    pub fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["m", "v"],
            Self::Sgd { .. } => &["m"],
        }
    }

    /// Decay rates for [`Schedule`](crate::kernels::train::Schedule); of no meaning without moments.
    pub(super) fn betas(&self) -> [f64; 2] {
        match self {
            Self::Adam { betas, .. } => *betas,
            Self::Sgd { .. } => [0.0; 2],
        }
    }

    /// Appends the update of `parameter`; its moments are in `moments`.
    pub(super) fn record(&self, recording: &mut Recording, parameter: &Parameter, schedule: Slot, status: Slot, moments: &[Slot]) {
        let slots = [&[parameter.gradient, schedule, status, parameter.value], moments].concat();
        let decays = |decay: f64| if parameter.is_weight { decay } else { 0.0 };
        match *self {
            Self::Adam { betas, epsilon, decay, decoupled } => {
                recording.push(Adam::new(parameter.len, betas, epsilon, decays(decay), decoupled), &slots);
            }
            Self::Sgd { momentum, decay } => recording.push(Sgd::new(parameter.len, momentum, decays(decay)), &slots),
        }
    }
}

/// The learning rate by step.
#[derive(Debug, Clone, PartialEq)]
pub enum Rate {
    /// Always the same.
    Constant,
    /// Times `factor` from each of `epochs` on.
    Step {
        /// When, in epochs.
        epochs: Vec<f64>,
        /// By how much.
        factor: f64,
    },
    /// Half a cosine from the full rate at the start to `last` times it at the end.
    Cosine {
        /// Share of the rate that is left at the end.
        last: f64,
    },
}

impl Rate {
    /// Share of the full rate in effect at `step` of `steps`, of which `per_epoch` are an epoch. In the first `warm_up` steps it rises
    /// linearly to what it would be.
    pub fn at(&self, step: u64, steps: u64, per_epoch: u64, warm_up: u64) -> f64 {
        let rate = match self {
            Self::Constant => 1.0,
            Self::Step { epochs, factor } => {
                let epoch = step as f64 / per_epoch.max(1) as f64;
                factor.powi(epochs.iter().filter(|from| epoch >= **from).count() as i32)
            }
            Self::Cosine { last } => {
                let done = (step as f64 / steps.max(1) as f64).min(1.0);
                last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        };
        if step < warm_up { rate * (step + 1) as f64 / warm_up as f64 } else { rate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fall_where_they_should() {
        let step = Rate::Step { epochs: vec![2.0, 3.0], factor: 0.1 };
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        for (at, want) in [(0, 1.0), (19, 1.0), (20, 0.1), (30, 0.01), (99, 0.01)] {
            close(step.at(at, 100, 10, 0), want);
        }
        let cosine = Rate::Cosine { last: 0.1 };
        for (at, want) in [(0, 1.0), (50, 0.55), (100, 0.1), (200, 0.1)] {
            close(cosine.at(at, 100, 10, 0), want);
        }
        close(Rate::Constant.at(0, 100, 10, 4), 0.25);
        close(Rate::Constant.at(3, 100, 10, 4), 1.0);
        close(Rate::Constant.at(9, 0, 0, 4), 1.0);
    }
}
