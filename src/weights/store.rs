//! Tensors by name, in and out of safetensors files.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::{Dtype, SafeTensors};

use super::WeightsError;
use super::names::LAYERS;
use crate::files;
use crate::formats::bytes::{elements, f16s, f32s};
use crate::tensor::Tensor;

/// Most bytes of a weights file: the largest nets with their optimizers' moments have some hundred million
/// numbers.
const MAX_FILE: u64 = 4 << 30;

/// Tensors by name, with metadata. Names are `<net>.<layer>.<part>`, e.g. `pnet.conv1.weight`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    metadata: BTreeMap<String, String>,
}

impl Weights {
    /// Weights of `tensors`, with `metadata` to be kept beside them: where they came from, under which
    /// licence.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Length`] if a tensor has more or fewer elements than its shape says.
    pub fn new(tensors: BTreeMap<String, Tensor>, metadata: BTreeMap<String, String>) -> Result<Self, WeightsError> {
        for (name, Tensor { shape, data }) in &tensors {
            if elements(shape) != Some(data.len()) {
                return Err(WeightsError::Length { name: name.clone(), shape: shape.clone(), len: data.len() });
            }
        }
        Ok(Self { tensors, metadata })
    }

    /// Weights of the safetensors file at `path`, which may hold F32 and F16 tensors.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Access`] if the file cannot be read or is over 4 GiB, [`WeightsError::File`] around
    /// what [`Weights::from_bytes`] says.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let bytes = files::read(path, MAX_FILE)?;
        Self::from_bytes(&bytes).map_err(|source| WeightsError::File { path: path.into(), source: Box::new(source) })
    }

    /// Writes [`Weights::to_bytes`] to `path`, whole or not at all: until the new file is complete and on
    /// disk, an old one stays.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Access`] if the system refuses.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), WeightsError> {
        let path = path.as_ref();
        Ok(files::write_whole(path, &self.to_bytes())?)
    }

    /// Weights of the bytes of a safetensors file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Safetensors`] if the bytes are not such a file, [`WeightsError::Dtype`] if a tensor is
    /// neither F32 nor F16.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WeightsError> {
        let failed = |source| WeightsError::Safetensors { source };
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(failed)?;
        let mut tensors = BTreeMap::new();
        for (name, view) in SafeTensors::deserialize(bytes).map_err(failed)?.tensors() {
            let data = match view.dtype() {
                Dtype::F32 => f32s(view.data()),
                Dtype::F16 => f16s(view.data()),
                dtype => return Err(WeightsError::Dtype { name, dtype: dtype.to_string() }),
            };
            tensors.insert(name, Tensor { shape: view.shape().to_vec(), data });
        }
        let metadata = header.metadata().clone().unwrap_or_default().into_iter().collect();
        Self::new(tensors, metadata)
    }

    /// The bytes of a safetensors file: F32 tensors in the order of their names. Equal weights give equal
    /// bytes, so that a checksum names them; safetensors' own writer would shuffle the metadata.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = serde_json::Map::new();
        header.insert("__metadata__".into(), serde_json::json!(self.metadata));
        let mut end = 0;
        for (name, tensor) in &self.tensors {
            let start = end;
            end += size_of_val(&tensor.data[..]);
            let info = serde_json::json!({ "dtype": "F32", "shape": tensor.shape, "data_offsets": [start, end] });
            header.insert(name.clone(), info);
        }
        let mut header = serde_json::Value::Object(header).to_string().into_bytes();
        header.resize(header.len().next_multiple_of(8), b' ');
        let mut bytes = Vec::with_capacity(8 + header.len() + end);
        bytes.extend((header.len() as u64).to_le_bytes());
        bytes.extend(header);
        bytes.extend(self.tensors.values().flat_map(|tensor| &tensor.data).flat_map(|value| value.to_le_bytes()));
        bytes
    }

    /// The tensor `name`, which has exactly `shape` and only finite elements.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Missing`], [`WeightsError::Shape`] or [`WeightsError::NotFinite`] if it is not so.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<&Tensor, WeightsError> {
        let Some(tensor) = self.tensors.get(name) else {
            return Err(WeightsError::Missing { name: name.into(), want: shape.into() });
        };
        if tensor.shape != shape {
            return Err(WeightsError::Shape { name: name.into(), got: tensor.shape.clone(), want: shape.into() });
        }
        match tensor.data.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            Some((index, &value)) => Err(WeightsError::NotFinite { name: name.into(), index, value }),
            None => Ok(tensor),
        }
    }

    /// Checks that every tensor of the three nets is there, has its shape and is finite. Other tensors may be
    /// there too.
    ///
    /// # Errors
    ///
    /// As [`Weights::tensor`], for the first one that is wrong.
    pub fn check(&self) -> Result<(), WeightsError> {
        for entry in &LAYERS {
            for &part in entry.parts() {
                self.tensor(&entry.tensor(part), &entry.shape(part))?;
            }
        }
        Ok(())
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// All tensors by name, sorted, as they are.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.tensors
    }

    /// What is known about the weights, such as `source` and `license`.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// The same weights, with `value` noted under `key`.
    #[must_use]
    pub fn with_metadata(mut self, key: &str, value: &str) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// The same weights, with the tensors and metadata of `other` beside or in place of their own.
    #[must_use]
    pub fn joined(mut self, other: Self) -> Self {
        self.tensors.extend(other.tensors);
        self.metadata.extend(other.metadata);
        self
    }
}
