//! [`Slot`]: a buffer of a recording, what it is for, and how tensors lie in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::tensor::Tensor;

/// Handle of a buffer of four-byte elements inside one recording, or of a range of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(crate) usize);

impl Slot {
    /// Position among [`Recording::slots`](super::Recording::slots).
    pub fn index(self) -> usize {
        self.0
    }
}

/// What a slot is for.
#[derive(Debug, Clone)]
pub enum Role {
    /// Contents that never change: weights and tables.
    Constant(Arc<[f32]>),
    /// The host writes it before every play; plays in flight have one each.
    Input,
    /// Tensors that live from play to play, which the host takes out and sets by name.
    State(State),
    /// Written by steps, and there until it is written again: what the host reads, and what crosses parts.
    Result,
    /// Of no meaning outside the part that uses it: its memory may be another's before and after.
    Scratch,
}

/// What an engine must know to allocate a slot.
#[derive(Debug, Clone)]
pub struct SlotInfo {
    /// For people.
    pub label: String,
    /// Four-byte elements.
    pub len: usize,
    /// What it is for.
    pub role: Role,
    /// Of a range: the slot that it is in, and its first element there.
    pub range: Option<(Slot, usize)>,
    /// Some kernel reads it through a uniform binding.
    pub uniform: bool,
}

impl SlotInfo {
    /// Contents that never change.
    pub fn constant(&self) -> Option<&Arc<[f32]>> {
        if let Role::Constant(data) = &self.role { Some(data) } else { None }
    }
}

/// A tensor by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Such as `onet.conv1.weight`.
    pub name: String,
    /// Its sizes, slowest first.
    pub shape: Vec<usize>,
}

/// How a tensor lies in a slot: in the order that a kernel reads it.
#[derive(Debug, Clone, Copy)]
pub struct Packing {
    /// For people.
    pub name: &'static str,
    /// The slot's elements for a tensor; padding is zero.
    pub pack: fn(&Tensor) -> Vec<f32>,
    /// The tensor of a shape in a slot's elements.
    pub unpack: fn(&[f32], &[usize]) -> Tensor,
}

impl Packing {
    /// Row-major, without padding.
    pub const PLAIN: Self = Self {
        name: "plain",
        pack: |tensor| tensor.data.clone(),
        unpack: |data, shape| Tensor { shape: shape.to_vec(), data: data[..shape.iter().product()].to_vec() },
    };
}

/// Tensors of one slot, which live from play to play: one, or several side by side along their first dimension.
#[derive(Debug, Clone)]
pub struct State {
    /// Each with as many rows as its own; all else is of one size.
    pub tensors: Vec<Named>,
    /// How all of them together lie in the slot.
    pub packing: Packing,
}

/// A state that the host gives does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is not there.
    #[error("there is no tensor {name:?}; shape {want:?} is needed")]
    Missing {
        /// Tensor.
        name: String,
        /// Shape needed.
        want: Vec<usize>,
    },
    /// It has another shape.
    #[error("tensor {name:?} is {got:?}, {want:?} is needed")]
    Shape {
        /// Tensor.
        name: String,
        /// Shape found.
        got: Vec<usize>,
        /// Shape needed.
        want: Vec<usize>,
    },
}

impl State {
    /// One tensor, row-major.
    pub fn plain(name: impl Into<String>, shape: impl Into<Vec<usize>>) -> Self {
        Self::packed(name, shape, Packing::PLAIN)
    }

    /// One tensor as `packing` has it.
    pub fn packed(name: impl Into<String>, shape: impl Into<Vec<usize>>, packing: Packing) -> Self {
        Self { tensors: vec![Named { name: name.into(), shape: shape.into() }], packing }
    }

    /// The same tensors, each called `prefix` and its name: moments beside what they belong to.
    #[must_use]
    pub fn prefixed(&self, prefix: &str) -> Self {
        let tensors = self.tensors.iter().map(|Named { name, shape }| Named { name: format!("{prefix}{name}"), shape: shape.clone() });
        Self { tensors: tensors.collect(), packing: self.packing }
    }

    /// Shape of all tensors side by side.
    pub fn shape(&self) -> Vec<usize> {
        let mut shape = self.tensors.first().map_or_else(Vec::new, |first| first.shape.clone());
        if let Some(rows) = shape.first_mut() {
            *rows = self.tensors.iter().map(|tensor| tensor.shape[0]).sum();
        }
        shape
    }

    /// Elements of the slot.
    pub fn len(&self) -> usize {
        let shape = self.shape();
        let data = vec![0.0; shape.iter().product()];
        (self.packing.pack)(&Tensor { shape, data }).len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// The slot's elements for `tensors`, of which others are of no matter.
    ///
    /// # Errors
    ///
    /// [`StateError`] if a tensor is missing or misshapen.
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

    /// The tensors in a slot's elements, by name.
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
