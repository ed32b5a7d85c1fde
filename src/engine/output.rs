//! What a play leaves for the host.

use std::cell::Cell;
use std::ops::Range;

use crate::record::Slot;

/// Contents of the output slots after a play, copied.
pub type Outputs = Vec<(Slot, Vec<f32>)>;

/// The output slots after a play, where they lie: what is not looked at is not copied.
#[derive(Debug)]
pub struct OutputView<'a> {
    slots: Vec<(Slot, &'a [f32])>,
    read: Cell<usize>,
}

impl<'a> OutputView<'a> {
    pub(super) fn new(slots: impl Iterator<Item = (Slot, &'a [f32])>) -> Self {
        Self { slots: slots.collect(), read: Cell::new(0) }
    }

    /// Returns some elements of an output, or fewer where it ends before them.
    pub fn get(&self, slot: Slot, elements: Range<usize>) -> &'a [f32] {
        let data = self.slots.iter().find(|(other, _)| *other == slot).map_or(&[][..], |(_, data)| *data);
        let end = elements.end.min(data.len());
        let part = &data[elements.start.min(end)..end];
        self.read.set(self.read.get() + part.len());
        part
    }

    /// Returns the number of elements of an output.
    pub fn len(&self, slot: Slot) -> usize {
        self.slots.iter().find(|(other, _)| *other == slot).map_or(0, |(_, data)| data.len())
    }

    /// Returns copies of all outputs.
    pub fn all(&self) -> Outputs {
        self.slots.iter().map(|(slot, data)| (*slot, self.get(*slot, 0..data.len()).to_vec())).collect()
    }

    /// Returns the number of elements that were looked at.
    pub(super) fn elements_read(&self) -> usize {
        self.read.get()
    }
}

impl<'a> From<&'a Outputs> for OutputView<'a> {
    fn from(outputs: &'a Outputs) -> Self {
        Self::new(outputs.iter().map(|(slot, data)| (*slot, &data[..])))
    }
}
