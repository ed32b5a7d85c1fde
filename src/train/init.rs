//! Weights to start from.

use std::collections::BTreeMap;

use crate::nets::{Layer, NetError, ONET, PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS};
use crate::tensor::{Shape, Tensor, noise};
use crate::weights::Weights;

/// Random weights of all three nets, landmark heads of P- and R-Net included: Glorot's uniform ones (in `±√(6 / (inputs + outputs))` of a
/// weight, windows counted), biases 0, PReLU slopes 0.25 (spec section 2.3). The same for the same `seed`.
///
/// # Errors
///
/// [`NetError`] never, for the nets as they are.
pub fn initial_weights(seed: u64) -> Result<Weights, NetError> {
    let mut tensors = BTreeMap::new();
    let mut insert = |name: String, shape: Vec<usize>, data: Vec<f32>| {
        tensors.insert(name, Tensor { shape, data });
    };
    let mut stream = seed.wrapping_mul(1_000_003);
    let mut glorot = |shape: &[usize]| {
        stream = stream.wrapping_add(1);
        let window: usize = shape[2..].iter().product();
        let bound = (6.0 / ((shape[0] + shape[1]) * window) as f64).sqrt() as f32;
        noise(shape.iter().product(), stream).into_iter().map(|v| v * bound).collect::<Vec<f32>>()
    };
    for net in [PNET_WITH_LANDMARKS, RNET_WITH_LANDMARKS, ONET] {
        let mut x = Shape::new([1, 3, net.side, net.side])?;
        let mut dense = false;
        for layer in net.layers {
            let name = |layer: &str, part: &str| format!("{}.{layer}.{part}", net.name);
            let tensors: Vec<(&str, Vec<usize>, bool)> = match *layer {
                Layer::Conv { name, k, out } => vec![(name, vec![out as usize, x.c() as usize, k as usize, k as usize], true)],
                Layer::Dense { name, out } => vec![(name, vec![out as usize, x.item() as usize], true)],
                Layer::Heads(heads) => {
                    let window: &[usize] = if dense { &[] } else { &[1, 1] };
                    let shape = |out: u32| [&[out as usize, x.c() as usize], window].concat();
                    heads.iter().map(|&(name, out)| (name, shape(out), false)).collect()
                }
                Layer::MaxPool { .. } => Vec::new(),
            };
            for (layer, shape, slope) in tensors {
                let out = shape[0];
                let data = glorot(&shape);
                insert(name(layer, "weight"), shape, data);
                insert(name(layer, "bias"), vec![out], vec![0.0; out]);
                if slope {
                    insert(name(layer, "slope"), vec![out], vec![0.25; out]);
                }
            }
            dense |= matches!(layer, Layer::Dense { .. });
            x = layer.output(&x)?;
        }
    }
    Ok(Weights::new(tensors, BTreeMap::new())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_net_can_be_made_of_them_and_the_seed_decides() {
        let weights = initial_weights(1).unwrap();
        weights.check().unwrap();
        assert_eq!(weights, initial_weights(1).unwrap());
        assert_ne!(weights, initial_weights(2).unwrap());
    }
}
