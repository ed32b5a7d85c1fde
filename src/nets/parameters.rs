//! The tensors of graphs as slots of a recording: learned ones with gradients, or constants.

use std::collections::BTreeMap;
use std::ops::Range;

use super::graph::{Graph, NodeId};
use super::net::NetError;
use super::parameter::Parameter;
use crate::kernels::train::Clear;
use crate::record::{DeviceFacts, Recording, Slot, State, StateError};
use crate::weights::{Weights, WeightsError};

/// A tensor that learns.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Names, shapes, and how kernels read them.
    pub state: State,
    /// Its value.
    pub value: Slot,
    /// Its gradient, laid out alike; zero in the padding.
    pub gradient: Slot,
    /// Weight decay applies to it.
    pub is_weight: bool,
}

/// The tensors of one or more graphs in a recording. Values of those that learn lie in one arena, their gradients in another, in the same
/// places: what weight decay applies to comes first.
#[derive(Debug)]
pub struct Parameters {
    values: BTreeMap<String, Slot>,
    learned: Vec<Learned>,
    arenas: Option<[Slot; 2]>,
}

impl Parameters {
    /// States in `recording` for every tensor of `graphs`; those that `learns` says so learn, the others are frozen.
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

    /// Constants in `recording` for every tensor of `graph`, with the values of `weights`.
    ///
    /// # Errors
    ///
    /// [`NetError::Weights`] if a tensor is missing, misshapen or not finite.
    pub fn constants(recording: &mut Recording, graph: &Graph, weights: &Weights) -> Result<Self, NetError> {
        let mut values = BTreeMap::new();
        for (_, parameter) in graph.parameters() {
            let data = packed(&parameter.state, weights)?;
            values.insert(first_name(&parameter.state).to_owned(), recording.constant(first_name(&parameter.state), data));
        }
        Ok(Self { values, learned: Vec::new(), arenas: None })
    }

    /// The slot of the tensor node `id` of one of the graphs.
    pub fn value(&self, graph: &Graph, id: NodeId) -> Slot {
        self.values[&graph.node(id).label]
    }

    /// What learns of the tensor node `id`, if it does.
    pub fn learned(&self, graph: &Graph, id: NodeId) -> Option<&Learned> {
        self.learned.iter().find(|learned| first_name(&learned.state) == graph.node(id).label)
    }

    /// Every tensor that learns, in the order of the arenas.
    pub fn all_learned(&self) -> &[Learned] {
        &self.learned
    }

    /// Arenas of the values and the gradients; `None` if nothing learns.
    pub fn arenas(&self) -> Option<[Slot; 2]> {
        self.arenas
    }

    /// Ranges of the arenas that a device can bind, with whether weight decay applies to them: if `apart`, what it applies to and what it does
    /// not are never in one.
    pub fn ranges(&self, recording: &Recording, device: DeviceFacts, apart: bool) -> Vec<(Range<usize>, bool)> {
        let most = (device.binding_bytes.min(DeviceFacts::DEFAULT_BINDING_BYTES) / 4) as usize;
        let mut ranges: Vec<(Range<usize>, bool)> = Vec::new();
        for learned in &self.learned {
            let Some((_, start)) = recording.slots()[learned.gradient.index()].range else { continue };
            let end = start + recording.slots()[learned.gradient.index()].len.next_multiple_of(Recording::RANGE);
            match ranges.last_mut() {
                Some((range, is_weight)) if (!apart || *is_weight == learned.is_weight) && end - range.start <= most => range.end = end,
                _ => ranges.push((start..end, learned.is_weight)),
            }
        }
        ranges
    }

    /// Appends the clearing of every gradient.
    pub fn clear(&self, recording: &mut Recording, device: DeviceFacts) {
        let Some([_, gradients]) = self.arenas else { return };
        let most = (device.binding_bytes.min(DeviceFacts::DEFAULT_BINDING_BYTES) / 4) as usize;
        let len = recording.slots()[gradients.index()].len;
        for start in (0..len).step_by(most) {
            let range = recording.range(gradients, start..len.min(start + most));
            recording.push(Clear::new((len - start).min(most) as u32), &[range]);
        }
    }
}

/// What a parameter goes by.
fn first_name(state: &State) -> &str {
    &state.tensors[0].name
}

/// The elements of a slot for `state` from `weights`.
pub(super) fn packed(state: &State, weights: &Weights) -> Result<Vec<f32>, WeightsError> {
    for tensor in &state.tensors {
        weights.tensor(&tensor.name, &tensor.shape)?;
    }
    state.pack(weights.tensors()).map_err(|error| match error {
        StateError::Missing { name, want } => WeightsError::Missing { name, want },
        StateError::Shape { name, got, want } => WeightsError::Shape { name, got, want },
    })
}
