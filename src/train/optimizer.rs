//! Optimizers (spec section 4.8).

use crate::kernels::train::{Adam, Sgd};
use crate::nets::Parameters;
use crate::record::{DeviceFacts, Recording, Slot};

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

    /// Appends the update of all that `parameters` has learning, by the arena `gradients`, with a state for each moment.
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

    /// Whether weight decay is anything.
    fn decays(&self) -> bool {
        match *self {
            Self::Adam { decay, .. } | Self::Sgd { decay, .. } => decay != 0.0,
        }
    }
}

/// What the names of the optimizer's states start with.
pub const OPTIMIZER: &str = "optimizer.";

/// What the names of the states of `moment` start with.
pub(super) fn prefix(moment: &str) -> String {
    format!("{OPTIMIZER}{moment}.")
}
