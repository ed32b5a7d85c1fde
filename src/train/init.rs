//! Weights to start from.

use std::collections::BTreeMap;

use crate::nets::{Initial, Net, NetError, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use crate::record::Named;
use crate::tensor::{Tensor, noise};
use crate::weights::Weights;

/// Where weights start. Both draw evenly from `±√(3 · variance)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "toolkit", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "lowercase"))]
pub enum Initialization {
    /// Glorot and Bengio 2010: variance `2 / (inputs + outputs)`, windows counted.
    Xavier,
    /// He et al. 2015, equation 15: variance `2 / ((1 + slope²) inputs)` before a PReLU or ReLU, which keeps the variance of activations from
    /// layer to layer, and `1 / inputs` in the heads, which have none.
    He,
}

impl Initialization {
    /// Largest weight of a tensor `[outputs, inputs, window...]`, before a PReLU of `slope` or none.
    fn bound(self, shape: &[usize], slope: Option<f32>) -> f64 {
        let window: usize = shape[2..].iter().product();
        let (outputs, inputs) = ((shape[0] * window) as f64, (shape[1] * window) as f64);
        let variance = match (self, slope) {
            (Self::Xavier, _) => 2.0 / (inputs + outputs),
            (Self::He, Some(slope)) => 2.0 / ((1.0 + f64::from(slope).powi(2)) * inputs),
            (Self::He, None) => 1.0 / inputs,
        };
        (3.0 * variance).sqrt()
    }

    /// Random weights of all three nets, landmark heads of P- and R-Net included: biases 0, PReLU slopes 0.25 (spec section 2.3). The same
    /// for the same `seed`.
    ///
    /// # Errors
    ///
    /// [`NetError`] never, for the nets as they are.
    pub fn weights(self, seed: u64) -> Result<Weights, NetError> {
        draw(&[PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET], seed, self)
    }

    /// Random weights of `net` alone, by the same rules.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if the net's side is too small for its layers.
    pub fn weights_of(self, net: Net, seed: u64) -> Result<Weights, NetError> {
        draw(&[net], seed, self)
    }
}

/// Random weights of all three nets, as [`Initialization::Xavier`] draws them.
///
/// # Errors
///
/// [`NetError`] never, for the nets as they are.
pub fn initial_weights(seed: u64) -> Result<Weights, NetError> {
    Initialization::Xavier.weights(seed)
}

/// Weights of `nets` as `initialization` says.
fn draw(nets: &[Net], seed: u64, initialization: Initialization) -> Result<Weights, NetError> {
    let mut tensors = BTreeMap::new();
    let mut stream = seed.wrapping_mul(1_000_003);
    for net in nets {
        for (_, parameter) in net.graph(1, 0.0)?.graph.parameters() {
            for Named { name, shape } in &parameter.state.tensors {
                let len = shape.iter().product();
                let data = match parameter.start {
                    Initial::Constant(value) | Initial::Running(value) => vec![value; len],
                    Initial::Weight { slope } => {
                        stream = stream.wrapping_add(1);
                        let bound = initialization.bound(shape, slope) as f32;
                        noise(len, stream).into_iter().map(|v| v * bound).collect()
                    }
                };
                tensors.insert(name.clone(), Tensor { shape: shape.clone(), data });
            }
        }
    }
    Ok(Weights::new(tensors, BTreeMap::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::rivals::NET48;

    #[test]
    fn every_net_can_be_made_of_them_and_the_seed_decides() {
        for initialization in [Initialization::Xavier, Initialization::He] {
            let weights = initialization.weights(1).unwrap();
            weights.check().unwrap();
            assert_eq!(weights, initialization.weights(1).unwrap());
            assert_ne!(weights, initialization.weights(2).unwrap());
        }
        assert_ne!(initial_weights(1).unwrap(), Initialization::He.weights(1).unwrap());
    }

    #[test]
    fn a_rival_has_its_own_and_relu_no_slope_to_learn() {
        let weights = Initialization::He.weights_of(NET48, 3).unwrap();
        let names: Vec<&str> = weights.tensors().keys().map(String::as_str).collect();
        let mut want: Vec<String> = NET48.tensors().unwrap().into_iter().map(|tensor| tensor.name).collect();
        want.sort();
        assert_eq!(names, want);
        has_variance(&weights, "net48.conv2.weight", 2.0 / (25.0 * 64.0));
        has_variance(&weights, "net48.class.weight", 1.0 / 256.0);
    }

    /// Mean and variance of a tensor, each within five standard errors: `σ / √n` of a mean; for a variance `σ² √((κ - 1) / n)`, where an even
    /// distribution has kurtosis κ = 9/5.
    fn has_variance(weights: &Weights, name: &str, want: f64) {
        let data = &weights.tensors()[name].data;
        let n = data.len() as f64;
        let mean = data.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let variance = data.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
        let near = mean.abs() <= 5.0 * (want / n).sqrt() && (variance - want).abs() <= 5.0 * want * (0.8 / n).sqrt();
        assert!(near, "{name}: mean {mean}, variance {variance}, which should be {want}");
    }

    #[test]
    fn variances_are_those_of_the_papers() {
        let xavier = initial_weights(3).unwrap();
        has_variance(&xavier, "pnet.conv3.weight", 2.0 / (9.0 * (16.0 + 32.0)));
        has_variance(&xavier, "rnet.fc4.weight", 2.0 / (576.0 + 128.0));
        has_variance(&xavier, "onet.landmarks.weight", 2.0 / (256.0 + 10.0));
        let (he, gain) = (Initialization::He.weights(3).unwrap(), 2.0 / (1.0 + 0.0625));
        has_variance(&he, "pnet.conv3.weight", gain / (9.0 * 16.0));
        has_variance(&he, "rnet.fc4.weight", gain / 576.0);
        has_variance(&he, "onet.landmarks.weight", 1.0 / 256.0);
    }
}
