//! [`Slot`]: a buffer of a recording, its role, and the layout of tensors in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tensor::Tensor;

/// Handle of a buffer of four-byte elements within one recording, or of a range of such a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(crate) usize);

impl Slot {
    /// Returns the index among [`Recording::slots`](super::Recording::slots).
    pub fn index(self) -> usize {
        self.0
    }
}

/// The role of a slot.
#[derive(Debug, Clone)]
pub enum Role {
    /// Contents that never change, such as weights and tables.
    Constant(Arc<[f32]>),
    /// Written by the host before every play; each play in flight has its own.
    Input,
    /// Tensors that persist from play to play, and that the host reads and sets by name.
    State(State),
    /// Written by steps and kept until it is written again: results for the host, and data passed between
    /// parts.
    Result,
    /// Meaningless outside the part that uses it; other slots may use its memory before and after.
    Scratch,
}

/// The properties of a slot that an engine needs to allocate it.
#[derive(Debug, Clone)]
pub struct SlotInfo {
    /// Label for users.
    pub label: String,
    /// Number of four-byte elements.
    pub len: usize,
    /// Role of the slot.
    pub role: Role,
    /// For a range, the slot that contains it, and its first element there.
    pub range: Option<(Slot, usize)>,
    /// Whether some kernel reads it through a uniform binding.
    pub uniform: bool,
}

impl SlotInfo {
    /// Returns the contents of a constant, or `None` for other roles.
    pub fn constant(&self) -> Option<&Arc<[f32]>> {
        if let Role::Constant(data) = &self.role { Some(data) } else { None }
    }
}

/// Name and shape of a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Name, such as `onet.conv1.weight`.
    pub name: String,
    /// Dimensions, slowest first.
    pub shape: Vec<usize>,
}

/// Layout of a tensor in a slot: the order in which a kernel reads it.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// Name of the layout for users.
    pub name: &'static str,
    /// Converts a tensor to the slot's elements; padding is zero.
    pub pack: fn(&Tensor) -> Vec<f32>,
    /// Converts a slot's elements to a tensor of the given shape.
    pub unpack: fn(&[f32], &[usize]) -> Tensor,
}

impl Packing {
    /// Row-major without padding.
    pub const PLAIN: Self = Self {
        name: "plain",
        pack: |tensor| tensor.data.clone(),
        unpack: |data, shape| Tensor { shape: shape.to_vec(), data: data[..shape.iter().product()].to_vec() },
    };
}

/// The tensors of one slot that persist from play to play: one, or several concatenated along their first
/// dimension.
#[derive(Debug, Clone)]
pub struct State {
    /// The tensors, which may have different numbers of rows but are equal in all other dimensions.
    pub tensors: Vec<Named>,
    /// Layout of the concatenated tensors in the slot.
    pub packing: Packing,
}

/// Errors of a state given by the host.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// A tensor is missing.
    #[error("there is no tensor {name:?}; shape {want:?} is needed")]
    Missing {
        /// Name of the tensor.
        name: String,
        /// Shape expected.
        want: Vec<usize>,
    },
    /// A tensor has the wrong shape.
    #[error("tensor {name:?} is {got:?}, {want:?} is needed")]
    Shape {
        /// Name of the tensor.
        name: String,
        /// Shape found.
        got: Vec<usize>,
        /// Shape expected.
        want: Vec<usize>,
    },
}

impl State {
    /// Creates a state of one row-major tensor.
    pub fn plain(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self::packed(name, shape, Packing::PLAIN)
    }

    /// Creates a state of one tensor with the given `packing`.
    pub fn packed(name: impl Into<String>, shape: impl Into<Vec<usize>>, packing: Packing) -> Self {
        Self { tensors: vec![Named { name: name.into(), shape: shape.into() }], packing }
    }

    /// Returns the same tensors with `prefix` before each name, such as the moments of parameters.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        let tensors = self.tensors.iter().map(|Named { name, shape }| Named { name: format!("{prefix}{name}"), shape: shape.clone() });
        Self { tensors: tensors.collect(), packing: self.packing }
    }

    /// Returns the shape of the concatenated tensors.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.tensors.first().map_or_else(Vec::new, |first| first.shape.clone());
        if let Some(rows) = shape.first_mut() {
            *rows = self.tensors.iter().map(|tensor| tensor.shape[0]).sum();
        }
        shape
    }

    /// Returns the number of elements of the slot.
    pub fn len(&self) -> usize {
        let shape = self.shape();
        let data = vec![0.0; shape.iter().product()];
        (self.packing.pack)(&Tensor { shape, data }).len()
    }

    /// Returns whether the slot has no elements.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Returns the slot's elements for `tensors`; tensors with other names are ignored.
    ///
    /// # Errors
    ///
    /// [`StateError`] if a tensor is missing or has the wrong shape.
    pub fn pack(&self, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<f32>, StateError> {
        let mut all = Tensor { shape: self.shape(), data: Vec::new() };
        for Named { name, shape } in &self.tensors {
            let tensor = tensors.get(name).ok_or_else(|| StateError::Missing { name: name.clone(), want: shape.clone() })?;
            if tensor.shape != *shape {
                return Err(StateError::Shape { name: name.clone(), got: tensor.shape.clone(), want: shape.clone() });
            }
            all.data.extend_from_slice(&tensor.data);
        }
        Ok((self.packing.pack)(&all))
    }

    /// Returns the tensors in a slot's elements, by name.
    pub fn unpack(&self, data: &[f32]) -> Vec<(String, Tensor)> {
        let all = (self.packing.unpack)(data, &self.shape());
        let mut rest = &all.data[..];
        let own = self.tensors.iter().map(|Named { name, shape }| {
            let (data, behind) = rest.split_at(shape.iter().product());
            rest = behind;
            (name.clone(), Tensor { shape: shape.clone(), data: data.to_vec() })
        });
        own.collect()
    }
}
