//! Optimizers (spec section 4.8).

use crate::kernels::train::{Adam, Sgd};
use crate::nets::Parameters;
use crate::record::{DeviceFacts, Recording, Slot};

/// Rule by which parameters are updated. Weight decay applies to kernels and matrices, not to biases and
/// slopes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Adam (Kingma and Ba 2015), with decay added to the gradient; with `decoupled`, AdamW (Loshchilov and
    /// Hutter 2019).
    Adam {
        /// Decay rates of the first and second moment.
        betas: [f64; 2],
        /// Constant added to the denominator.
        epsilon: f64,
        /// Weight decay.
        decay: f64,
        /// Whether decay is subtracted from the weights instead of being added to the gradient.
        decoupled: bool,
    },
    /// Stochastic gradient descent with momentum.
    Sgd {
        /// Share of the previous step's velocity that is kept.
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
    /// Returns the names of the moments that the optimizer keeps for each parameter.
    pub fn moments(&self) -> &'static [&'static str] {
        match self {
            Self::Adam { .. } => &["m", "v"],
            Self::Sgd { .. } => &["m"],
        }
    }

    /// Returns the decay rates for [`Schedule`](super::schedule::Schedule); unused without moments.
    pub(super) fn betas(&self) -> [f64; 2] {
        match self {
            Self::Adam { betas, .. } => *betas,
            Self::Sgd { .. } => [0.0; 2],
        }
    }

    /// Appends the update of all learned tensors in `parameters` by the arena `gradients`, with a state for
    /// each moment.
    pub(super) fn record(
        &self,
        recording: &mut Recording,
        parameters: &Parameters,
        gradients: Slot,
        device: DeviceFacts,
        [schedule, status]: [Slot; 2],
    ) {
        let Some([values, _]) = parameters.arenas() else { return };
        let moments: Vec<Slot> = self
            .moments()
            .iter()
            .map(|moment| {
                let arena = recording.slot(format!("moments {moment}"), 0);
                for learned in parameters.all_learned() {
                    recording.carve_state(arena, learned.state.prefixed(&prefix(moment)));
                }
                arena
            })
            .collect();
        for (range, is_weight) in parameters.ranges(recording, device, self.decays()) {
            let len = range.len() as u32;
            let mut of = |arena: Slot| recording.range(arena, range.clone());
            let slots = [&[of(gradients), schedule, status, of(values)], &moments.iter().map(|moment| of(*moment)).collect::<Vec<_>>()[..]]
                .concat();
            let decays = |decay: f64| if is_weight { decay } else { 0.0 };
            match *self {
                Self::Adam { betas, epsilon, decay, decoupled } => {
                    recording.push(Adam::new(len, betas, epsilon, decays(decay), decoupled), &slots);
                }
                Self::Sgd { momentum, decay } => recording.push(Sgd::new(len, momentum, decays(decay)), &slots),
            }
        }
    }

    /// Returns whether weight decay is greater than zero.
    fn decays(&self) -> bool {
        match *self {
            Self::Adam { decay, .. } | Self::Sgd { decay, .. } => decay != 0.0,
        }
    }
}

/// Prefix of the names of the optimizer's states.
pub const OPTIMIZER: &str = "optimizer.";

/// Returns the prefix of the names of the states of `moment`.
pub(super) fn prefix(moment: &str) -> String {
    format!("{OPTIMIZER}{moment}.")
}
