//! The tensors of graphs as slots of a recording: either learned, with gradients, or constant.

use std::collections::BTreeMap;
use std::ops::Range;

use super::graph::{Graph, NodeId};
use super::parameter::Parameter;
use crate::kernels::train::Clear;
use crate::record::{DeviceFacts, Recording, Slot, State, StateError};
use crate::weights::{Weights, WeightsError};

/// A tensor that learns.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Names, shapes and packing.
    pub state: State,
    /// Slot of the value.
    pub value: Slot,
    /// Slot of the gradient, in the layout of the value; zero in the padding.
    pub gradient: Slot,
    /// Whether weight decay applies to the tensor.
    pub is_weight: bool,
}

impl Learned {
    /// Returns the elements of the arenas that the tensor has.
    ///
    /// # Panics
    ///
    /// If the tensor was not created in `recording`, which is a programming error of the caller.
    pub fn place(&self, recording: &Recording) -> Range<usize> {
        let gradient = &recording.slots()[self.gradient.index()];
        let (_, start) = gradient.range.expect("a gradient lies in an arena");
        start..start + gradient.len
    }
}

/// The tensors of one or more graphs in a recording. Values of learned tensors lie in one arena and their
/// gradients in another, at the same offsets; tensors with weight decay come first.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<String, Slot>,
    learned: Vec<Learned>,
    arenas: Option<[Slot; 2]>,
}

impl Parameters {
    /// Creates states in `recording` for every tensor of `graphs`. Tensors for which `learns` returns true
    /// are learned, the others are frozen.
    pub fn states<'g>(recording: &mut Recording, graphs: impl IntoIterator<Item = &'g Graph>, learns: impl Fn(&Parameter) -> bool) -> Self {
        let mut all: Vec<&Parameter> = Vec::new();
        for (_, parameter) in graphs.into_iter().flat_map(Graph::parameters) {
            if !all.iter().any(|other| first_name(&other.state) == first_name(&parameter.state)) {
                all.push(parameter);
            }
        }
        let (mut learning, frozen): (Vec<_>, Vec<_>) = all.into_iter().partition(|parameter| parameter.can_learn() && learns(parameter));
        learning.sort_by_key(|parameter| !parameter.is_weight());
        let mut values: BTreeMap<String, Slot> = BTreeMap::new();
        for parameter in frozen {
            values.insert(first_name(&parameter.state).to_owned(), recording.state(parameter.state.clone()));
        }
        let arenas = ["values", "gradients"].map(|label| recording.slot(label, 0));
        let learned = learning.into_iter().map(|parameter| {
            let state = parameter.state.clone();
            let value = recording.carve_state(arenas[0], state.clone());
            let gradient = recording.carve(arenas[1], format!("d{}", first_name(&state)), state.len());
            values.insert(first_name(&state).to_owned(), value);
            Learned { state, value, gradient, is_weight: parameter.is_weight() }
        });
        let learned: Vec<Learned> = learned.collect();
        Self { values, arenas: (!learned.is_empty()).then_some(arenas), learned }
    }

    /// Creates constants in `recording` for every tensor of `graph`, from `weights`: nothing learns.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] if a tensor is missing, misshapen or not finite.
    pub fn constants(recording: &mut Recording, graph: &Graph, weights: &Weights) -> Result<Self, WeightsError> {
        let mut values = BTreeMap::new();
        for (_, parameter) in graph.parameters() {
            let name = first_name(&parameter.state);
            values.insert(name.to_owned(), recording.constant(name, packed(&parameter.state, weights)?));
        }
        Ok(Self { values, learned: Vec::new(), arenas: None })
    }

    /// Returns the slot of the tensor node `id` of one of the graphs.
    pub fn value(&self, graph: &Graph, id: NodeId) -> Slot {
        self.values[&graph.node(id).label]
    }

    /// Returns the learned tensor of the tensor node `id`, or `None` if it is frozen.
    pub fn learned(&self, graph: &Graph, id: NodeId) -> Option<&Learned> {
        self.learned.iter().find(|learned| first_name(&learned.state) == graph.node(id).label)
    }

    /// Returns every learned tensor, in the order of the arenas.
    pub fn all_learned(&self) -> &[Learned] {
        &self.learned
    }

    /// Returns the arenas of values and gradients; `None` if nothing learns.
    pub fn arenas(&self) -> Option<[Slot; 2]> {
        self.arenas
    }

    /// Returns ranges of the arenas that a device can bind, and whether weight decay applies to each. If
    /// `apart`, no range contains both tensors with and tensors without weight decay.
    pub fn ranges(&self, recording: &Recording, device: DeviceFacts, apart: bool) -> Vec<(Range<usize>, bool)> {
        let most = (device.binding_bytes.min(DeviceFacts::DEFAULT_BINDING_BYTES) / 4) as usize;
        let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
        for learned in &self.learned {
            let Range { start, end } = learned.place(recording);
            let end = end.next_multiple_of(Recording::RANGE);
            match ranges.last_mut() {
                Some((range, is_weight)) if (!apart || *is_weight == learned.is_weight) && end - range.start <= most => range.end = end,
                _ => ranges.push((start..end, learned.is_weight)),
            }
        }
        ranges
    }

    /// Appends steps that clear `arena`, which has the layout of the gradients.
    pub fn clear(&self, recording: &mut Recording, arena: Slot, device: DeviceFacts) {
        for (range, _) in self.ranges(recording, device, false) {
            let piece = recording.range(arena, range.clone());
            recording.push(Clear::new(range.len() as u32), &[piece]);
        }
    }
}

/// Returns the name that identifies a parameter.
fn first_name(state: &State) -> &str {
    &state.tensors[0].name
}

/// Returns the elements of a slot for `state`, taken from `weights`.
pub(super) fn packed(state: &State, weights: &Weights) -> Result<Vec<f32>, WeightsError> {
    for tensor in &state.tensors {
        weights.tensor(&tensor.name, &tensor.shape)?;
    }
    state.pack(weights.tensors()).map_err(|error| match error {
        StateError::Missing { name, want } => WeightsError::Missing { name, want },
        StateError::Shape { name, got, want } => WeightsError::Shape { name, got, want },
    })
}
