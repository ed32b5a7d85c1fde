//! Tensors as kernels read them, and back: of a layer, and of all that is trained.

use std::collections::BTreeMap;

use super::layer::{Activation, Layer, Net, NetError, Tensors};
use super::training::Training;
use crate::kernels::nn::{Conv, Dense};
use crate::record::Slot;
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

impl Training {
    /// What [`Parameter::value`](super::Parameter::value) of each parameter starts as.
    pub fn initial(&self) -> Vec<(Slot, &[f32])> {
        let packed = self.packed.iter().flatten().flat_map(|packed| packed.parts(self.net.name)).map(|(_, data)| data);
        self.parameters.iter().map(|parameter| parameter.value).zip(packed).collect()
    }

    /// The tensors of the net by name, from the packed contents of each parameter's slots (values, or anything laid out like them).
    pub fn unpack(&self, contents: &[Vec<f32>]) -> BTreeMap<String, Tensor> {
        let mut contents = contents.iter();
        let mut tensors = BTreeMap::new();
        for packed in self.packed.iter().flatten() {
            let count = packed.parts(self.net.name).count();
            tensors.extend(packed.unpack(self.net.name, &contents.by_ref().take(count).map(Vec::as_slice).collect::<Vec<_>>()));
        }
        tensors
    }

    /// The packed contents of each parameter's slot, from tensors by name: undoes [`Training::unpack`].
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    pub fn pack(&self, tensors: &Weights) -> Result<Vec<Vec<f32>>, NetError> {
        let mut shape = Shape::new([1, 3, self.net.side, self.net.side])?;
        let mut all = Vec::new();
        for (i, layer) in self.net.layers.iter().enumerate() {
            if let Some(packed) = self.net.packed(i, &shape, tensors)? {
                all.extend(packed.parts(self.net.name).map(|(_, data)| data.to_vec()));
            }
            shape = layer.output(&shape)?;
        }
        Ok(all)
    }
}
