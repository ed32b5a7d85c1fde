//! The two engines that run on the host: the twin plays references, the CPU engine native kernels.

use crate::record::{Access, Recording, Slot, Step};

/// Which body of a kernel to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Body {
    /// The scalar specification.
    Reference,
    /// The fast one.
    Native,
}

/// A recording with its memory.
#[derive(Debug)]
pub struct HostSession {
    body: Body,
    memory: Vec<Vec<f32>>,
}

impl HostSession {
    /// Allocates every slot, zeroed; pages of a slot that is never reached are never touched.
    pub fn new(recording: &Recording, body: Body) -> Self {
        let memory = recording.slots().iter().map(|slot| slot.constant.as_ref().map_or_else(|| vec![0.0; slot.len], |data| data.to_vec()));
        Self { body, memory: memory.collect() }
    }

    /// Elements of `slot`.
    pub fn slot(&self, slot: Slot) -> &[f32] {
        &self.memory[slot.index()]
    }

    /// Elements of `slot`, to be written.
    pub fn slot_mut(&mut self, slot: Slot) -> &mut [f32] {
        &mut self.memory[slot.index()]
    }

    /// Runs one step.
    pub fn play(&mut self, step: &Step) {
        let items = self.items(step);
        let mut written: Vec<Vec<f32>> = step
            .bound()
            .filter(|(_, binding)| binding.access != Access::Read)
            .map(|(slot, _)| std::mem::take(&mut self.memory[slot.index()]))
            .collect();
        let read: Vec<&[f32]> =
            step.bound().filter(|(_, b)| b.access == Access::Read).map(|(slot, _)| self.memory[slot.index()].as_slice()).collect();
        let mut write: Vec<&mut [f32]> = written.iter_mut().map(Vec::as_mut_slice).collect();
        match self.body {
            Body::Reference => step.kernel.reference(items, &read, &mut write),
            Body::Native => step.kernel.native(items, &read, &mut write),
        }
        let slots = step.bound().filter(|(_, binding)| binding.access != Access::Read).map(|(slot, _)| slot);
        for (slot, data) in slots.zip(written) {
            self.memory[slot.index()] = data;
        }
    }

    /// Items that `step` works on: counted on the device or fixed.
    pub fn items(&self, step: &Step) -> u32 {
        step.counted.map_or_else(|| step.kernel.work().most(), |c| self.memory[c.slot.index()][c.index * 4 + 3].to_bits())
    }
}
