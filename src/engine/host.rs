//! The two engines that run on the host: the twin runs reference bodies, the CPU engine native ones.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::memory::{Layout, Place};
use crate::record::{Access, Recording, Role, Slot, Step};

/// The kernel body to run.
#[derive(Debug, Clone)]
pub enum Body {
    /// The scalar reference.
    Reference,
    /// The native body, on the threads of a given pool or of rayon's own.
    Native(Option<Arc<rayon::ThreadPool>>),
}

/// Number of elements in a cache line; every slot starts at a multiple of it.
const LINE: usize = 16;
/// Largest number of bindings of a kernel.
const BINDINGS: usize = 8;
/// Largest number of items that pass through a run of steps together, so that intermediate results stay in a
/// core's cache.
const TOGETHER: usize = 8;

/// Elements of a buffer, aligned to a cache line. They start as zeroed pages, which take no memory until they
/// are accessed.
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

/// A run of steps whose items are independent of each other: a few items pass through all steps before the
/// next ones do.
#[derive(Debug)]
struct StepRun {
    steps: Range<usize>,
    /// Number of elements per item, for each binding of each step.
    each: Vec<Vec<usize>>,
    /// Slots that the run reads, each with the number of elements per item.
    read: Vec<(usize, usize)>,
    /// Slots that the run writes, each with the number of elements per item.
    written: Vec<(usize, usize)>,
}

impl StepRun {
    /// Returns the longest run that starts with step `first` and ends before `end`, or `None` if the items of
    /// that step are not independent.
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

    /// Returns whether `step` can join the run: where the step and the run touch the same slot and one of
    /// them writes it, both must access it item by item with the same size.
    fn allows(&self, recording: &Recording, step: &Step, each: &[usize]) -> bool {
        step.bound().zip(each).all(|((slot, binding), &each)| {
            let apart = |other: usize| recording.root(Slot(other)) != recording.root(slot);
            let alike = |touched: &[(usize, usize)]| {
                touched.iter().all(|&(touched, size)| apart(touched) || (touched == slot.index() && size == each))
            };
            alike(&self.written) && (binding.access == Access::Read || each > 0 && alike(&self.read))
        })
    }

    /// Divides the steps of `recording`, part by part, into runs and single steps. Returns for every step the
    /// run that starts with it, and the range of steps that are played together with it.
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

/// A recording with its memory on the host.
#[derive(Debug)]
pub struct HostSession {
    body: Body,
    layout: Layout,
    /// One entry per buffer.
    memory: Vec<Memory>,
    /// One entry per step: the run that starts with it.
    runs: Vec<Option<StepRun>>,
}

impl HostSession {
    /// Allocates every buffer. Constants get their contents, all other slots are zero.
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

    /// Returns the total number of elements of all buffers.
    pub fn elements(&self) -> usize {
        self.layout.elements()
    }

    /// Returns the elements of `slot`.
    pub fn slot(&self, slot: Slot) -> &[f32] {
        let Place { buffer, start, len } = self.layout.place(slot);
        &self.memory[buffer].get()[start..start + len]
    }

    /// Returns the elements of `slot`, mutably.
    pub fn slot_mut(&mut self, slot: Slot) -> &mut [f32] {
        let Place { buffer, start, len } = self.layout.place(slot);
        &mut self.memory[buffer].get_mut()[start..start + len]
    }

    /// Removes the buffers of `slots` from the session, each once.
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
            // A play that begins inside a run is executed step by step.
            match self.runs[next].take() {
                Some(run) => {
                    let end = run.steps.end.min(steps.end);
                    let steps = &recording.steps()[next..end];
                    // Steps with the same count have the same items, so this only guards against a faulty
                    // recording.
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

    /// Plays one step on all items.
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

    /// Passes a few items at a time through all steps, on all threads.
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

    /// Plays one step on some items; `parts` holds their elements in the slots that the run writes.
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

    /// Returns the number of items that `step` processes: counted on the device, or fixed.
    pub fn items(&self, step: &Step) -> u32 {
        step.counted.map_or_else(|| step.kernel.work().most(), |counted| counted.items(self.slot(counted.slot)))
    }
}

/// Returns the elements at `places`, which must not overlap, from the buffers in `taken`, in the order of
/// `places`.
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
