//! Tensors of a layer as its kernel reads them, and back.

use super::layer::{Activation, Layer, Net, NetError, Tensors};
use crate::kernels::nn::{Conv, Dense};
use crate::tensor::{Shape, Tensor};
use crate::weights::Weights;

/// Tensors of a layer as its kernel reads them.
#[derive(Debug, Clone)]
pub(super) struct Packed {
    pub name: &'static str,
    /// For `Dense`, not for `Conv`.
    pub dense: bool,
    /// Of the weight before packing; of joined heads `[outputs, inputs]`.
    pub shape: Vec<usize>,
    /// Their names and outputs, if it is joined heads.
    pub heads: &'static [(&'static str, u32)],
    /// Its slopes are learned: those of PReLU.
    pub prelu: bool,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    pub slope: Vec<f32>,
}

impl Packed {
    /// What is trained, with its name: weight, bias, and the slope of a PReLU.
    pub fn parts(&self, net: &str) -> impl Iterator<Item = (String, &[f32])> {
        let parts = [("weight", &self.weight), ("bias", &self.bias), ("slope", &self.slope)];
        let trained = if self.prelu { 3 } else { 2 };
        let label = format!("{net}.{}", self.name);
        parts.into_iter().take(trained).map(move |(part, data)| (format!("{label}.{part}"), data.as_slice()))
    }

    /// The tensors that slots with contents `parts`, laid out like [`Packed::parts`], stand for.
    pub fn unpack(&self, net: &str, parts: &[&[f32]]) -> Vec<(String, Tensor)> {
        let weight = if self.dense { Dense::unpack(parts[0], &self.shape) } else { Conv::unpack(parts[0], &self.shape) };
        let vector = |data: &[f32]| Tensor { shape: vec![data.len()], data: data.to_vec() };
        let outputs = self.shape[0];
        let name = |layer: &str, part: &str| format!("{net}.{layer}.{part}");
        if self.heads.is_empty() {
            let vectors = ["bias", "slope"].into_iter().zip(&parts[1..]);
            let vectors = vectors.map(|(part, data)| (name(self.name, part), vector(&data[..outputs])));
            return std::iter::once((name(self.name, "weight"), weight)).chain(vectors).collect();
        }
        let (mut tensors, mut first) = (Vec::new(), 0);
        for &(head, out) in self.heads {
            let (last, inputs) = (first + out as usize, self.shape[1]);
            let shape = if self.dense { vec![out as usize, inputs] } else { vec![out as usize, inputs, 1, 1] };
            tensors.push((name(head, "weight"), Tensor { shape, data: weight.data[first * inputs..last * inputs].to_vec() }));
            tensors.push((name(head, "bias"), vector(&parts[1][first..last])));
            first = last;
        }
        tensors
    }
}

impl Net {
    /// Tensors of layer `i`, whose input is `x`, as its kernel reads them; `None` for pooling.
    pub(super) fn packed(self, i: usize, x: &Shape, weights: &Weights) -> Result<Option<Packed>, NetError> {
        let Some(Tensors { name, weight, bias, slope, dense }) = self.unpacked(i, x, weights)? else { return Ok(None) };
        let heads = if let Layer::Heads(heads) = self.layers[i] { heads } else { &[] };
        let shape = weight.shape.clone();
        let (weight, bias, slope) = if dense {
            (Dense::pack(&weight), Dense::pad(&bias), Dense::pad(&slope))
        } else {
            (Conv::pack(&weight), Conv::pad(&bias), Conv::pad(&slope))
        };
        let prelu = heads.is_empty() && self.activation == Activation::PRelu;
        Ok(Some(Packed { name, dense, shape, heads, prelu, weight, bias, slope }))
    }
}
