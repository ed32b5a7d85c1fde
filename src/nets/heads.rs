//! Heads of recognisers: an embedding of the identity, and the age (section 4 of the recognition reference).

use super::graph::{Graph, NodeId};
use super::ir::normalized;
use super::layer::{ActivationLayer, LinearLayer, MultiplyLayer, NormLayer, Statistics};
use super::parameter::Initial;
use crate::kernels::nn::Broadcast;
use crate::record::State;
use crate::tensor::ShapeError;

/// Number of ages, in years from 0, that an age head tells apart.
pub const AGES: u32 = 101;
/// Number of age groups: up to 10 years, up to 20, and so on up to 60, and over 60.
pub const AGE_GROUPS: u32 = 7;

/// Adds the head of an embedding of `width` elements over the features `x`: norm, dropout, dense layer, norm.
/// `dropout` has a factor for each element of `x`, as a training pass needs it. Tensors are called
/// `<name>.{bn1, fc, bn2}`.
///
/// # Errors
///
/// [`ShapeError`] if the shapes do not fit.
pub fn identity(
    g: &mut Graph,
    name: &str,
    x: NodeId,
    width: u32,
    dropout: Option<NodeId>,
    statistics: Statistics,
) -> Result<NodeId, ShapeError> {
    let mut y = normalized(g, &format!("{name}.bn1"), x, None, NormLayer::new(statistics))?;
    if let Some(factors) = dropout {
        y = g.add(MultiplyLayer { over: Broadcast::Elements }, &[y, factors])?;
    }
    let y = linear(g, &format!("{name}.fc"), y, width, true)?;
    normalized(g, &format!("{name}.bn2"), y, None, NormLayer::new(statistics))
}

/// Logits of ages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeLogits {
    /// Logits of the ages, `[n, 101]`; see [`expected_age`].
    pub years: NodeId,
    /// Logits of the age groups, `[n, 7]`.
    pub groups: NodeId,
}

/// Adds an age head with `hidden` units over the features `x`: norm, dense layer, ReLU, a dense layer to the
/// logits of ages, and from these one to the logits of groups. Tensors are called
/// `<name>.{bn, fc1, fc2, group}`.
///
/// # Errors
///
/// [`ShapeError`] if the shapes do not fit.
pub fn age(g: &mut Graph, name: &str, x: NodeId, hidden: u32, statistics: Statistics) -> Result<AgeLogits, ShapeError> {
    let y = normalized(g, &format!("{name}.bn"), x, None, NormLayer::new(statistics))?;
    let y = linear(g, &format!("{name}.fc1"), y, hidden, true)?;
    let y = g.add(ActivationLayer::RELU, &[y])?;
    let years = linear(g, &format!("{name}.fc2"), y, AGES, true)?;
    Ok(AgeLogits { years, groups: linear(g, &format!("{name}.group"), years, AGE_GROUPS, true)? })
}

/// Returns the expected age in years, `Σ k softmax(logits)_k` (Rothe, Timofte and Van Gool 2015); NaN without
/// logits.
pub fn expected_age(logits: &[f32]) -> f64 {
    let most = logits.iter().fold(f64::NEG_INFINITY, |most, z| most.max(f64::from(*z)));
    let weights = logits.iter().map(|z| (f64::from(*z) - most).exp());
    let (sum, years) = weights.zip(0..).fold((0.0, 0.0), |(sum, years), (p, k)| (sum + p, years + p * f64::from(k)));
    years / sum
}

/// Adds a dense layer over whole items, with or without a bias.
pub(super) fn linear(g: &mut Graph, name: &str, x: NodeId, out: u32, bias: bool) -> Result<NodeId, ShapeError> {
    let inputs = g.node(x).shape.item() as usize;
    let weight = g.tensor(State::plain(format!("{name}.weight"), [out as usize, inputs]), Initial::Weight { slope: None })?;
    if !bias {
        return g.add(LinearLayer, &[x, weight]);
    }
    let bias = g.tensor(State::plain(format!("{name}.bias"), [out as usize]), Initial::Constant(0.0))?;
    g.add(LinearLayer, &[x, weight, bias])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expected_age_is_that_of_the_reference() {
        let mut logits = [0.0; AGES as usize];
        assert!((expected_age(&logits) - 50.0).abs() < 1e-9);
        (logits[30], logits[50]) = (3.0, 2.0);
        assert!((expected_age(&logits) - 46.981_918).abs() < 1e-6);
        assert!(expected_age(&[]).is_nan());
    }
}
