//! Weights of the three nets: names, shapes, files.

use std::collections::BTreeMap;

use crate::tensor::Tensor;

/// Tensors by name, with metadata. Names are `<net>.<layer>.<part>`, e.g. `pnet.conv1.weight`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}
