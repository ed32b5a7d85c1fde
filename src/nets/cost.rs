//! What a net costs, and weights to find out.

use std::collections::BTreeMap;

use super::fuse::Fused;
use super::net::{Net, NetError};
use crate::record::{DeviceFacts, Named, Recording};
use crate::tensor::{Shape, Tensor, noise};
use crate::weights::Weights;

/// What a net costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Numbers that it learns.
    pub parameters: u64,
    /// Multiplications, each with its addition, of one forward pass of one item of [`Net::side`].
    pub multiply_adds: u64,
}

impl Net {
    /// Counts parameters, and multiply-adds of a recorded pass.
    ///
    /// # Errors
    ///
    /// [`NetError::Shape`] if the net's side is too small for its layers.
    pub fn cost(self) -> Result<Cost, NetError> {
        let elements = |shape: &[usize]| shape.iter().map(|&size| size as u64).product::<u64>();
        let parameters = self.tensors()?.iter().map(|tensor| elements(&tensor.shape)).sum();
        let mut recording = Recording::new();
        let fused = Fused::whole(self, &mut recording, &self.noise_weights()?, DeviceFacts::HOST)?;
        let x = recording.slot("input", (3 * self.side * self.side) as usize);
        fused.record(&mut recording, x, &Shape::new([1, 3, self.side, self.side])?)?;
        let multiply_adds = recording.steps().iter().map(|step| step.kernel.multiply_adds(1)).sum();
        Ok(Cost { parameters, multiply_adds })
    }

    /// Weights that are good for nothing but timing and tests: noise scaled so that activations keep their size, always the same.
    ///
    /// # Errors
    ///
    /// [`NetError`] if the net's side is too small for its layers.
    pub fn noise_weights(self) -> Result<Weights, NetError> {
        let tensor = |(Named { name, shape }, seed): (Named, u64)| {
            let inputs: usize = shape[1..].iter().product();
            let scale = if shape.len() > 1 { (3.0 / inputs as f64).sqrt() as f32 } else { 0.25 };
            let data = noise(shape.iter().product(), seed).iter().map(|x| x * scale).collect();
            (name, Tensor { shape, data })
        };
        let tensors: BTreeMap<_, _> = self.tensors()?.into_iter().zip(1..).map(tensor).collect();
        Ok(Weights::new(tensors, BTreeMap::new())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nets::rivals::{NET12, NET24, NET24_WITH_12, NET48, NET48_WITH_24};
    use crate::nets::{ONET, PNET, RNET};

    #[test]
    fn parameters_and_multiply_adds_are_those_of_the_spec() {
        let nets = [
            (PNET, 6_632, 44_760),
            (RNET, 100_178, 1_530_768),
            (ONET, 389_040, 12_909_952),
            (NET12, 6_898, 49_632),
            (NET24, 824_450, 2_739_456),
            (NET24_WITH_12, 831_346, 2_789_088),
            (NET48, 1_435_202, 43_798_016),
            (NET48_WITH_24, 2_266_546, 46_587_104),
        ];
        for (net, parameters, multiply_adds) in nets {
            assert_eq!(net.cost().expect("a valid net"), Cost { parameters, multiply_adds }, "{}", net.name);
        }
    }
}
