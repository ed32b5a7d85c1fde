//! The schedule as data: a [`Recording`] lists *steps* (a kernel and the slots it uses) that any engine can
//! play, as a whole or by *parts*.

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

/// Location of a counted step's number of items: the first word of entry `index` in `slot`, of
/// [`Counted::WORDS`] each. On a GPU the entry is the step's uniform, whose first field is that number: so a
/// kernel can tell another how much there is to do, and the host need not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Slot that the `arguments` or the `settle` kernel writes to.
    pub slot: Slot,
    /// Index of the entry.
    pub index: usize,
}

impl Counted {
    /// Size of an entry in four-byte words: 256 bytes, at which every device can bind a uniform.
    pub const WORDS: usize = 64;

    /// Returns the number of items, given the contents of the slot.
    pub fn items(self, slot: &[f32]) -> u32 {
        slot.get(self.index * Self::WORDS).map_or(0, |word| word.to_bits())
    }
}

/// A kernel with its slots.
#[derive(Debug)]
pub struct Step {
    /// The kernel to run.
    pub kernel: Box<dyn AnyKernel>,
    /// One slot per binding.
    pub slots: Vec<Slot>,
    /// Takes the number of items from the device instead of from [`Kernel::work`].
    pub counted: Option<Counted>,
}

impl Step {
    /// Returns the number of bytes that the step's kernel reads and writes for `items` items, counting each
    /// element once. Elements read twice come from caches, or cost more; lists are counted as if they were
    /// full.
    pub fn bytes(&self, recording: &Recording, items: u32) -> u64 {
        let most = u64::from(self.kernel.work().most());
        let each = self.kernel.sizes().into_iter().zip(&self.slots).map(|(elements, slot)| {
            let bytes = elements as u64 * 4;
            if recording.slots[slot.0].constant().is_some() { bytes } else { bytes * u64::from(items) / most }
        });
        each.sum()
    }

    /// Returns the slots in order of bindings, each with its binding.
    pub fn bound(&self) -> impl Iterator<Item = (Slot, Binding)> + '_ {
        self.slots.iter().copied().zip(self.kernel.bindings().iter().copied())
    }
}

/// A range of steps of a recording, played together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part(usize);

/// The label and the steps of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartInfo {
    /// Label for users.
    pub label: String,
    /// Indices of the steps.
    pub steps: Range<usize>,
}

/// Steps in order, and the slots they use. Built once, then played many times.
#[derive(Debug, Default)]
pub struct Recording {
    slots: Vec<SlotInfo>,
    steps: Vec<Step>,
    parts: Vec<PartInfo>,
    outputs: Vec<Slot>,
    tables: HashMap<Vec<u32>, Slot>,
}

impl Recording {
    /// Alignment of ranges of a slot, in elements: 256 bytes, at which every device can bind a buffer.
    pub const RANGE: usize = 64;

    /// Creates an empty recording.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the steps in order of play.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns all slots.
    pub fn slots(&self) -> &[SlotInfo] {
        &self.slots
    }

    /// Returns all parts in order; empty for a recording that is only played as a whole.
    pub fn parts(&self) -> &[PartInfo] {
        &self.parts
    }

    /// Returns the indices of the steps of `part`.
    pub fn steps_of(&self, part: Part) -> Range<usize> {
        self.parts[part.0].steps.clone()
    }

    /// Returns the slots that the host reads after every play.
    pub fn outputs(&self) -> &[Slot] {
        &self.outputs
    }

    /// Records `steps` as a part that can be played on its own.
    pub fn part<T>(&mut self, label: impl Into<String>, steps: impl FnOnce(&mut Self) -> T) -> (Part, T) {
        let part = self.begin(label);
        let value = steps(self);
        (self.end(part), value)
    }

    /// Begins a part, which contains all steps recorded until [`Recording::end`].
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

    /// Creates a slot of `len` elements that steps write and whose contents persist.
    pub fn slot(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Result)
    }

    /// Creates a slot of `len` elements whose contents have no meaning outside the part that uses it. It may
    /// share memory with other slots if only one part uses it and the first step there that touches it writes
    /// all of it; otherwise it has memory of its own.
    pub fn scratch(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Scratch)
    }

    /// Creates a slot of `len` elements that the host writes before every play; each play in flight has its
    /// own.
    pub fn input(&mut self, label: impl Into<String>, len: usize) -> Slot {
        self.add(label, len, Role::Input)
    }

    /// Creates a slot for the tensors of `state`.
    pub fn state(&mut self, state: State) -> Slot {
        self.add(label_of(&state), state.len(), Role::State(state))
    }

    /// Extends `slot` to at least `len` elements.
    pub fn grow(&mut self, slot: Slot, len: usize) {
        let info = &mut self.slots[slot.0];
        info.len = info.len.max(len);
    }

    /// Appends a range of `len` elements to the slot `arena`. All ranges of an arena can be cleared, added up
    /// or updated by one step.
    pub fn carve(&mut self, arena: Slot, label: impl Into<String>, len: usize) -> Slot {
        let first = self.slots[arena.0].len;
        self.slots[arena.0].len += len.next_multiple_of(Self::RANGE);
        let slot = self.add(label, len, Role::Result);
        self.slots[slot.0].range = Some((arena, first));
        slot
    }

    /// Appends a range for the tensors of `state` to `arena`.
    pub fn carve_state(&mut self, arena: Slot, state: State) -> Slot {
        let slot = self.carve(arena, label_of(&state), state.len());
        self.slots[slot.0].role = Role::State(state);
        slot
    }

    /// Creates a slot for the given elements of `arena`, which must contain them already.
    ///
    /// # Panics
    ///
    /// Panics if the arena does not contain them, or if the first is not a multiple of [`Recording::RANGE`]:
    /// an error of the caller.
    pub fn range(&mut self, arena: Slot, elements: Range<usize>) -> Slot {
        let info = &self.slots[arena.0];
        assert!(elements.start.is_multiple_of(Self::RANGE) && elements.end <= info.len, "{elements:?} of {:?}", info.label);
        let slot = self.add(format!("range of {}", info.label.clone()), elements.len(), Role::Result);
        self.slots[slot.0].range = Some((arena, elements.start));
        slot
    }

    /// Returns the slot in whose memory `slot` lies, which is `slot` itself unless it is a range.
    pub fn root(&self, slot: Slot) -> Slot {
        self.slots[slot.0].range.map_or(slot, |(parent, _)| parent)
    }

    /// Returns every state with its slot.
    pub fn states(&self) -> impl Iterator<Item = (Slot, &State)> {
        let state = |info: &SlotInfo| matches!(info.role, Role::State(_));
        let found = self.slots.iter().enumerate().filter(move |(_, info)| state(info));
        found.filter_map(|(i, info)| if let Role::State(state) = &info.role { Some((Slot(i), state)) } else { None })
    }

    /// Creates a slot that holds `data` from the start.
    pub fn constant(&mut self, label: impl Into<String>, data: impl Into<Arc<[f32]>>) -> Slot {
        let data = data.into();
        self.add(label, data.len(), Role::Constant(data))
    }

    /// Creates a constant of integers. Equal tables share one slot.
    pub fn table(&mut self, label: impl Into<String>, data: Vec<u32>) -> Slot {
        if let Some(slot) = self.tables.get(&data) {
            return *slot;
        }
        let slot = self.constant(label, data.iter().map(|&word| f32::from_bits(word)).collect::<Vec<_>>());
        self.tables.insert(data, slot);
        slot
    }

    /// Makes the contents of a scratch slot persist.
    pub fn keep(&mut self, slot: Slot) {
        let role = &mut self.slots[slot.0].role;
        if matches!(role, Role::Scratch) {
            *role = Role::Result;
        }
    }

    /// Lets the host read `slot` after every play.
    pub fn output(&mut self, slot: Slot) {
        if !self.outputs.contains(&slot) {
            self.outputs.push(slot);
        }
    }

    /// Appends a step that runs `kernel` on `slots`, one per binding.
    ///
    /// # Panics
    ///
    /// Panics if the number of slots, their sizes or their roles do not fit the kernel: an error of the
    /// caller, not of any input.
    pub fn push(&mut self, kernel: impl Kernel + 'static, slots: &[Slot]) {
        let step = self.checked(kernel, slots);
        self.steps.push(step);
    }

    /// Like [`Recording::push`], but inserts the step before the one at `position`.
    ///
    /// # Panics
    ///
    /// See [`Recording::push`].
    pub fn insert(&mut self, position: usize, kernel: impl Kernel + 'static, slots: &[Slot]) {
        let step = self.checked(kernel, slots);
        self.steps.insert(position, step);
        for part in &mut self.parts {
            part.steps.start += usize::from(part.steps.start > position);
            part.steps.end += usize::from(part.steps.end > position);
        }
    }

    /// Makes the step at `position` take its number of items from the device.
    ///
    /// # Panics
    ///
    /// Panics if the kernel does not walk ([`Kernel::WALKERS`]) or its uniform does not begin with the number
    /// of items: an error of the caller.
    pub fn count(&mut self, position: usize, counted: Counted) {
        let kernel = &self.steps[position].kernel;
        assert!(kernel.walkers().is_some() && kernel.fields()[0] == ("n", 0), "{}: its items cannot be counted", kernel.name());
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
                // Devices do not allow one dispatch to read one range of a buffer and to write another.
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
