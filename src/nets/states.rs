//! All that is trained in a net, as kernels read it, and back.

use std::collections::BTreeMap;

use super::layer::NetError;
use super::training::Training;
use crate::record::Slot;
use crate::tensor::{Shape, Tensor};
use crate::weights::Weights;

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
