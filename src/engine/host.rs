//! The two engines that run on the host: the twin plays references, the CPU engine native kernels.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::memory::{Layout, Place};
use crate::record::{Access, Recording, Role, Slot, Step};

/// Which body of a kernel to run.
#[derive(Debug, Clone)]
pub enum Body {
    /// The scalar specification.
    Reference,
    /// The fast one, on the threads of a pool, or of rayon's own.
    Native(Option<Arc<rayon::ThreadPool>>),
}

/// Elements of a cache line, at which every slot starts.
const LINE: usize = 16;
/// Most bindings that a kernel has.
const BINDINGS: usize = 8;
/// Items that go through a run of steps together, at most: what they hold between steps stays in a core's cache.
const TOGETHER: usize = 8;

/// A slot's elements. Pages that are never reached are never touched.
#[derive(Debug, Default)]
struct Memory {
    data: Vec<f32>,
    start: usize,
}

impl Memory {
    fn new(len: usize) -> Self {
        let mut data = vec![0.0; len + LINE - 1];
        let start = data.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
        data.truncate(start + len);
        Self { data, start }
    }

    fn get(&self) -> &[f32] {
        &self.data[self.start..]
    }

    fn get_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..]
    }
}

/// Steps whose items can be computed apart from each other: some items go through all of them before others do.
#[derive(Debug)]
struct StepRun {
    steps: Range<usize>,
    /// Of each step and binding, the elements of an item.
    each: Vec<Vec<usize>>,
    /// Slots that the run reads, with the elements of an item.
    read: Vec<(usize, usize)>,
    /// Slots that the run writes, likewise.
    written: Vec<(usize, usize)>,
}

impl StepRun {
    /// The steps of `recording` from `first` on and before `end` that are one run; at least the first, if its items can be computed apart.
    fn from(recording: &Recording, first: usize, end: usize) -> Option<Self> {
        let mut run = Self { steps: first..first, each: Vec::new(), read: Vec::new(), written: Vec::new() };
        let like = &recording.steps()[first];
        for step in &recording.steps()[first..end] {
            let same = step.kernel.work().items == like.kernel.work().items && step.counted.is_some() == like.counted.is_some();
            let Some(each) = step.kernel.apart().filter(|each| same && run.allows(recording, step, each)) else { break };
            for ((slot, binding), each) in step.bound().zip(&each) {
                let slots = if binding.access == Access::Read { &mut run.read } else { &mut run.written };
                if !slots.contains(&(slot.index(), *each)) {
                    slots.push((slot.index(), *each));
                }
            }
            run.each.push(each);
            run.steps.end += 1;
        }
        (!run.each.is_empty()).then_some(run)
    }

    /// Whether `step` touches what the run writes, and writes what the run touches, item by item only, in the same way.
    fn allows(&self, recording: &Recording, step: &Step, each: &[usize]) -> bool {
        step.bound().zip(each).all(|((slot, binding), &each)| {
            let apart = |other: usize| recording.root(Slot(other)) != recording.root(slot);
            let alike = |touched: &[(usize, usize)]| {
                touched.iter().all(|&(touched, size)| apart(touched) || (touched == slot.index() && size == each))
            };
            alike(&self.written) && (binding.access == Access::Read || each > 0 && alike(&self.read))
        })
    }

    /// The steps of `recording` cut into runs and single steps, part by part: the run that a step begins, and the steps played as one with
    /// each.
    fn all(recording: &Recording) -> (Vec<Option<Self>>, Vec<Range<usize>>) {
        let count = recording.steps().len();
        let mut ends: Vec<usize> = recording.parts().iter().flat_map(|part| [part.steps.start, part.steps.end]).chain([count]).collect();
        ends.sort_unstable();
        let (mut runs, mut together): (Vec<Option<Self>>, Vec<Range<usize>>) = (Vec::new(), Vec::new());
        while runs.len() < count {
            let first = runs.len();
            let end = ends.iter().copied().find(|end| *end > first).unwrap_or(count);
            let run = Self::from(recording, first, end);
            let steps = run.as_ref().map_or(first..first + 1, |run| run.steps.clone());
            runs.push(run);
            runs.resize_with(steps.end, || None);
            together.resize(steps.end, steps);
        }
        (runs, together)
    }
}

/// A recording with its memory.
#[derive(Debug)]
pub struct HostSession {
    body: Body,
    layout: Layout,
    /// By buffer.
    memory: Vec<Memory>,
    /// The run that starts with a step.
    runs: Vec<Option<StepRun>>,
}

impl HostSession {
    /// Allocates every buffer, zeroed but for the constants.
    pub fn new(recording: &Recording, body: Body) -> Self {
        let (runs, together) = match body {
            Body::Native(_) => StepRun::all(recording),
            Body::Reference => Default::default(),
        };
        let layout = Layout::of(recording, |step| together.get(step).cloned().unwrap_or(step..step + 1));
        let memory = layout.buffers.iter().map(|len| Memory::new(*len)).collect();
        let mut session = Self { body, layout, memory, runs };
        for (i, info) in recording.slots().iter().enumerate() {
            if let Role::Constant(data) = &info.role {
                session.slot_mut(Slot(i)).copy_from_slice(data);
            }
        }
        session
    }

    /// Elements that all slots take together.
    pub fn elements(&self) -> usize {
        self.layout.elements()
    }

    /// Elements of `slot`.
    pub fn slot(&self, slot: Slot) -> &[f32] {
        let Place { buffer, start, len } = self.layout.place(slot);
        &self.memory[buffer].get()[start..start + len]
    }

    /// Elements of `slot`, to be written.
    pub fn slot_mut(&mut self, slot: Slot) -> &mut [f32] {
        let Place { buffer, start, len } = self.layout.place(slot);
        &mut self.memory[buffer].get_mut()[start..start + len]
    }

    /// Takes the buffers of `slots` out, each once.
    fn take(&mut self, slots: impl Iterator<Item = Slot>) -> Vec<(usize, Memory)> {
        let mut buffers: Vec<usize> = slots.map(|slot| self.layout.place(slot).buffer).collect();
        buffers.sort_unstable();
        buffers.dedup();
        buffers.into_iter().map(|buffer| (buffer, std::mem::take(&mut self.memory[buffer]))).collect()
    }

    fn put_back(&mut self, taken: Vec<(usize, Memory)>) {
        for (buffer, memory) in taken {
            self.memory[buffer] = memory;
        }
    }

    /// Plays the given steps of `recording` in order.
    pub fn play(&mut self, recording: &Recording, steps: Range<usize>) {
        match self.body.clone() {
            Body::Reference => recording.steps()[steps].iter().for_each(|step| self.play_whole(step)),
            Body::Native(Some(pool)) => pool.install(|| self.play_runs(recording, steps)),
            Body::Native(None) => rayon::scope(|_| self.play_runs(recording, steps)),
        }
    }

    fn play_runs(&mut self, recording: &Recording, steps: Range<usize>) {
        let mut next = steps.start;
        while next < steps.end {
            let step = &recording.steps()[next];
            let items = self.items(step);
            // A play that begins inside a run goes step by step.
            match self.runs[next].take() {
                Some(run) => {
                    let end = run.steps.end.min(steps.end);
                    let steps = &recording.steps()[next..end];
                    // Steps of one count have the same items, so this is but a check of the recording.
                    let same = steps.iter().take_while(|step| self.items(step) == items).count();
                    self.play_run(&steps[..same], &run, items as usize);
                    self.runs[next] = Some(run);
                    next += same;
                }
                None => {
                    self.play_whole(step);
                    next += 1;
                }
            }
        }
    }

    /// One step over all items.
    fn play_whole(&mut self, step: &Step) {
        let items = self.items(step);
        let written: Vec<Slot> = step.bound().filter(|(_, binding)| binding.access != Access::Read).map(|(slot, _)| slot).collect();
        let mut taken = self.take(written.iter().copied());
        let places: Vec<Place> = written.iter().map(|slot| self.layout.place(*slot)).collect();
        let mut write = views(&mut taken, &places);
        let reads = step.bound().filter(|(_, binding)| binding.access == Access::Read);
        let read: Vec<&[f32]> = reads.map(|(slot, _)| self.slot(slot)).collect();
        match self.body {
            Body::Reference => step.kernel.reference(items, &read, &mut write),
            Body::Native(_) => step.kernel.native(items, &read, &mut write),
        }
        self.put_back(taken);
    }

    /// Some items at a time through all steps, on all threads.
    fn play_run(&mut self, steps: &[Step], run: &StepRun, items: usize) {
        let threads = rayon::current_num_threads();
        let together = if threads > 1 { items.div_ceil(4 * threads).clamp(1, TOGETHER) } else { TOGETHER };
        let written = || run.written.iter().map(|(slot, _)| Slot(*slot));
        let mut taken = self.take(written());
        let places: Vec<Place> = written().map(|slot| self.layout.place(slot)).collect();
        let mut batches: Vec<Vec<&mut [f32]>> = (0..items.div_ceil(together)).map(|_| Vec::with_capacity(places.len())).collect();
        for (view, (_, each)) in views(&mut taken, &places).into_iter().zip(&run.written) {
            batches.iter_mut().zip(view.chunks_mut(each * together)).for_each(|(batch, part)| batch.push(part));
        }
        let play = |(i, mut parts): (usize, Vec<&mut [f32]>)| {
            let first = i * together;
            let count = together.min(items - first);
            steps.iter().zip(&run.each).for_each(|(step, each)| self.play_part(step, each, run, first..first + count, &mut parts));
        };
        if threads > 1 {
            batches.into_par_iter().enumerate().for_each(play);
        } else {
            batches.into_iter().enumerate().for_each(play);
        }
        self.put_back(taken);
    }

    /// One step over some items; `parts` are their elements of the slots that the run writes.
    fn play_part(&self, step: &Step, each: &[usize], run: &StepRun, items: Range<usize>, parts: &mut [&mut [f32]]) {
        let mut write: [&mut [f32]; BINDINGS] = Default::default();
        let mut read: [&[f32]; BINDINGS] = [&[]; BINDINGS];
        let (mut writes, mut reads) = (0, 0);
        let own = |slot: Slot| run.written.iter().position(|(written, _)| *written == slot.index());
        for (slot, _) in step.bound().filter(|(_, binding)| binding.access != Access::Read) {
            if let Some(own) = own(slot) {
                write[writes] = std::mem::take(&mut parts[own]);
                writes += 1;
            }
        }
        for ((slot, _), each) in step.bound().zip(each).filter(|((_, binding), _)| binding.access == Access::Read) {
            read[reads] = match own(slot) {
                Some(own) => &*parts[own],
                None => &self.slot(slot)[items.start * each..],
            };
            reads += 1;
        }
        step.kernel.native_part(items.start as u32..items.end as u32, &read[..reads], &mut write[..writes]);
        let mut write = write.into_iter();
        for (slot, _) in step.bound().filter(|(_, binding)| binding.access != Access::Read) {
            if let (Some(own), Some(part)) = (own(slot), write.next()) {
                parts[own] = part;
            }
        }
    }

    /// Items that `step` works on: counted on the device or fixed.
    pub fn items(&self, step: &Step) -> u32 {
        step.counted.map_or_else(|| step.kernel.work().most(), |c| self.slot(c.slot)[c.index * 4 + 3].to_bits())
    }
}

/// The elements at `places`, no two of which meet, in buffers that were taken out; in the order of `places`.
fn views<'m>(taken: &'m mut [(usize, Memory)], places: &[Place]) -> Vec<&'m mut [f32]> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| places[i].start);
    let mut found: Vec<(usize, &mut [f32])> = Vec::with_capacity(places.len());
    for (buffer, memory) in taken {
        let (mut rest, mut at) = (memory.get_mut(), 0);
        for &i in order.iter().filter(|&&i| places[i].buffer == *buffer) {
            let (_, behind) = rest.split_at_mut(places[i].start - at);
            let (own, behind) = behind.split_at_mut(places[i].len);
            found.push((i, own));
            (rest, at) = (behind, places[i].start + places[i].len);
        }
    }
    found.sort_by_key(|(i, _)| *i);
    found.into_iter().map(|(_, view)| view).collect()
}
