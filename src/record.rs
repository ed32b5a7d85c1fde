//! The schedule as data: a [`Recording`] lists *steps* (a kernel and the slots it touches) that any engine can play, whole or by *parts*.

mod any;
mod facts;
mod kernel;
mod slot;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

pub use any::AnyKernel;
pub use facts::{DeviceFacts, Executor};
pub use kernel::{Access, Binding, Element, Kernel, Work};
pub use slot::{Named, Packing, Role, Slot, SlotInfo, State, StateError};

/// Where a counted step finds its dispatch size: entry `index` of the arguments in `slot`, `[x, y, z, items]` each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Written by the `arguments` kernel.
    pub slot: Slot,
    /// Which entry.
    pub index: usize,
}

/// One kernel over its slots.
#[derive(Debug)]
pub struct Step {
    /// What to compute.
    pub kernel: Box<dyn AnyKernel>,
    /// One slot per binding.
    pub slots: Vec<Slot>,
    /// Dispatch size from the device instead of from [`Kernel::work`].
    pub counted: Option<Counted>,
}

impl Step {
    /// Bytes that the step's kernel names for `items` items: each element that it can read or write, once. What kernels read twice
    /// comes from caches or costs more; lists are counted as if they were full.
    pub fn bytes(&self, recording: &Recording, items: u32) -> u64 {
        let most = u64::from(self.kernel.work().most());
        let each = self.kernel.sizes().into_iter().zip(&self.slots).map(|(elements, slot)| {
            let bytes = elements as u64 * 4;
            if recording.slots[slot.0].constant().is_some() { bytes } else { bytes * u64::from(items) / most }
        });
        each.sum()
    }

    /// Slots by binding, with the binding.
    pub fn bound(&self) -> impl Iterator<Item = (Slot, Binding)> + '_ {
        self.slots.iter().copied().zip(self.kernel.bindings().iter().copied())
    }
}

/// Some steps of a recording, played together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part(usize);

/// A part and its steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// For people.
    pub label: String,
    /// Positions of its steps.
    pub steps: Range<usize>,
}

/// Steps in order, and the slots they use. Built once, played often.
#[derive(Debug, Default)]
pub struct Recording {
    slots: Vec<SlotInfo>,
    steps: Vec<Step>,
    parts: Vec<PartInfo>,
    outputs: Vec<Slot>,
    tables: HashMap<Vec<u32>, Slot>,
}

impl Recording {
    /// Elements at whose multiples a range of a slot begins: 256 bytes, which every device binds from.
    pub const RANGE: usize = 64;

    /// An empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// Steps in order of play.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Every slot.
    pub fn slots(&self) -> &[SlotInfo] {
        &self.slots
    }

    /// Every part in order; none in a recording that is only played whole.
    pub fn parts(&self) -> &[PartInfo] {
        &self.parts
    }

    /// Positions of the steps of `part`.
    pub fn steps_of(&self, part: Part) -> Range<usize> {
        self.parts[part.0].steps.clone()
    }

    /// What the host reads after every play.
    pub fn outputs(&self) -> &[Slot] {
        &self.outputs
    }

    /// Records `steps` as a part that can be played by itself.
    pub fn part<T>(&mut self, label: impl Into<String>, steps: impl FnOnce(&mut Self) -> T) -> (Part, T) {
        let part = self.begin(label);
        let value = steps(self);
        (self.end(part), value)
    }

    /// Begins a part: what is recorded until its [`Recording::end`] belongs to it.
    pub fn begin(&mut self, label: impl Into<String>) -> Part {
        let first = self.steps.len();
        self.parts.push(PartInfo { label: label.into(), steps: first..first });
        Part(self.parts.len() - 1)
    }

    /// Ends a part.
    pub fn end(&mut self, part: Part) -> Part {
        self.parts[part.0].steps.end = self.steps.len();
        part
    }

    fn add(&mut self, label: impl Into<String>, len: usize, role: Role) -> Slot {
        self.slots.push(SlotInfo { label: label.into(), len, role, range: None, uniform: false });
        Slot(self.slots.len() - 1)
    }

    /// A slot of `len` elements that steps write, and that keeps what they wrote.
    pub fn slot(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Result)
    }

    /// A slot of `len` elements that means nothing outside the part that uses it. It may share its memory with others if one part alone uses it
    /// and the first step there that touches it writes all of it; else it keeps its memory for itself.
    pub fn scratch(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Scratch)
    }

    /// A slot of `len` elements that the host writes before every play; plays in flight have one each.
    pub fn input(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Input)
    }

    /// A slot for the tensors of `state`.
    pub fn state(&mut self, state: State) -> Slot {
        self.add(label_of(&state), state.len(), Role::State(state))
    }

    /// Makes `slot` at least `len` elements long.
    pub fn grow(&mut self, slot: Slot, len: usize) {
        let info = &mut self.slots[slot.0];
        info.len = info.len.max(len);
    }

    /// A range of `len` elements at the end of the slot `arena`, which grows by it: what lies in one arena is cleared, added up or updated
    /// by one step.
    pub fn carve(&mut self, arena: Slot, label: impl Into<String>, len: usize) -> Slot {
        let first = self.slots[arena.0].len;
        self.slots[arena.0].len += len.next_multiple_of(Self::RANGE);
        let slot = self.add(label, len, Role::Result);
        self.slots[slot.0].range = Some((arena, first));
        slot
    }

    /// A range at the end of `arena` for the tensors of `state`.
    pub fn carve_state(&mut self, arena: Slot, state: State) -> Slot {
        let slot = self.carve(arena, label_of(&state), state.len());
        self.slots[slot.0].role = Role::State(state);
        slot
    }

    /// The given elements of `arena`, which has them already.
    ///
    /// # Panics
    ///
    /// If it has not, or the first is not a multiple of [`Recording::RANGE`]: a mistake in the caller.
    pub fn range(&mut self, arena: Slot, elements: Range<usize>) -> Slot {
        let info = &self.slots[arena.0];
        assert!(elements.start.is_multiple_of(Self::RANGE) && elements.end <= info.len, "{elements:?} of {:?}", info.label);
        let slot = self.add(format!("range of {}", info.label.clone()), elements.len(), Role::Result);
        self.slots[slot.0].range = Some((arena, elements.start));
        slot
    }

    /// The slot whose memory `slot` lies in: itself, if it is no range.
    pub fn root(&self, slot: Slot) -> Slot {
        self.slots[slot.0].range.map_or(slot, |(parent, _)| parent)
    }

    /// Every state with its slot.
    pub fn states(&self) -> impl Iterator<Item = (Slot, &State)> {
        let state = |info: &SlotInfo| matches!(info.role, Role::State(_));
        let found = self.slots.iter().enumerate().filter(move |(_, info)| state(info));
        found.filter_map(|(i, info)| if let Role::State(state) = &info.role { Some((Slot(i), state)) } else { None })
    }

    /// A slot that holds `data` from the start.
    pub fn constant(&mut self, label: impl Into<String>, data: impl Into<Arc<[f32]>>) -> Slot {
        let data = data.into();
        self.add(label, data.len(), Role::Constant(data))
    }

    /// A constant of integers; equal tables share one slot.
    pub fn table(&mut self, label: impl Into<String>, data: Vec<u32>) -> Slot {
        if let Some(slot) = self.tables.get(&data) {
            return *slot;
        }
        let slot = self.constant(label, data.iter().map(|&word| f32::from_bits(word)).collect::<Vec<_>>());
        self.tables.insert(data, slot);
        slot
    }

    /// Lets the host read `slot` after every play.
    pub fn output(&mut self, slot: Slot) {
        if !self.outputs.contains(&slot) {
            self.outputs.push(slot);
        }
    }

    /// Appends `kernel` over `slots`, one per binding.
    ///
    /// # Panics
    ///
    /// If the number of slots, their sizes or their roles do not fit the kernel: a mistake in the caller, not in any input.
    pub fn push(&mut self, kernel: impl Kernel + 'static, slots: &[Slot]) {
        let step = self.checked(kernel, slots);
        self.steps.push(step);
    }

    /// As [`Recording::push`], before the step at `position`.
    ///
    /// # Panics
    ///
    /// As [`Recording::push`].
    pub fn insert(&mut self, position: usize, kernel: impl Kernel + 'static, slots: &[Slot]) {
        let step = self.checked(kernel, slots);
        self.steps.insert(position, step);
        for part in &mut self.parts {
            part.steps.start += usize::from(part.steps.start > position);
            part.steps.end += usize::from(part.steps.end > position);
        }
    }

    /// Makes the step at `position` take its dispatch size from the device.
    pub fn count(&mut self, position: usize, counted: Counted) {
        self.steps[position].counted = Some(counted);
    }

    fn checked<K: Kernel + 'static>(&mut self, kernel: K, slots: &[Slot]) -> Step {
        let sizes = kernel.sizes();
        assert_eq!(slots.len(), K::BINDINGS.len(), "{}: number of slots", K::NAME);
        assert_eq!(sizes.len(), K::BINDINGS.len(), "{}: number of sizes", K::NAME);
        for (i, ((slot, binding), size)) in slots.iter().zip(K::BINDINGS).zip(sizes).enumerate() {
            let info = &mut self.slots[slot.0];
            info.uniform |= binding.uniform;
            assert!(info.len >= size, "{}: binding {i} needs {size} elements, slot {:?} has {}", K::NAME, info.label, info.len);
            if binding.access != Access::Read {
                let label = &self.slots[slot.0].label;
                assert!(self.slots[slot.0].constant().is_none(), "{}: writes constant {label:?}", K::NAME);
                let aliases = slots.iter().filter(|other| *other == slot).count();
                assert_eq!(aliases, 1, "{}: slot {label:?} is written and bound twice", K::NAME);
                // A device forbids to read one range of a buffer and to write another in one dispatch.
                let mut read = slots.iter().zip(K::BINDINGS).filter(|(_, binding)| binding.access == Access::Read);
                let alike = read.find(|(other, _)| self.root(**other) == self.root(*slot));
                assert!(alike.is_none(), "{}: slot {label:?} is written, and read in another range", K::NAME);
            }
        }
        Step { kernel: Box::new(kernel), slots: slots.to_vec(), counted: None }
    }
}

fn label_of(state: &State) -> String {
    state.tensors.iter().map(|tensor| tensor.name.as_str()).collect::<Vec<_>>().join(" + ")
}
