//! The two engines that run on the host: the twin runs reference bodies, the CPU engine native ones.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use rayon::prelude::*;

use super::memory::{Layout, Place};
use crate::record::{Access, Recording, Role, Slot, SlotInfo, Step};

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
/// Number of elements that a thread may need for what passes through a run, unless one item needs more.
const SPARE: usize = 1 << 18;

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
    /// Positions in `written` of the slots whose contents nobody needs after the run.
    passing: Vec<usize>,
}

impl StepRun {
    /// Returns the longest run that starts with step `first` and ends before `end`, or `None` if the items of
    /// that step are not independent.
    fn from(recording: &Recording, first: usize, end: usize) -> Option<Self> {
        let mut run = Self { steps: first..first, each: Vec::new(), read: Vec::new(), written: Vec::new(), passing: Vec::new() };
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
        let passing = passing(recording, &together, &runs);
        for run in runs.iter_mut().flatten() {
            run.passing = (0..run.written.len()).filter(|&k| passing[run.written[k].0]).collect();
        }
        (runs, together)
    }
}

/// Returns for each slot whether its contents are only ever read in the run that has written them.
fn passing(recording: &Recording, together: &[Range<usize>], runs: &[Option<StepRun>]) -> Vec<bool> {
    let scratch = |info: &SlotInfo| matches!(info.role, Role::Scratch) && info.range.is_none();
    let mut passing: Vec<bool> = recording.slots().iter().map(scratch).collect();
    let arenas = recording.slots().iter().filter_map(|info| info.range.map(|(arena, _)| arena));
    let counts = recording.steps().iter().filter_map(|step| step.counted.map(|counted| counted.slot));
    arenas.chain(counts).chain(recording.outputs().iter().copied()).for_each(|slot| passing[slot.index()] = false);
    // The run that wrote a slot last.
    let mut writer = vec![None; passing.len()];
    for (step, run) in recording.steps().iter().zip(together) {
        for (slot, binding) in step.bound() {
            if binding.access == Access::Write {
                writer[slot.index()] = Some(run.start);
            }
            passing[slot.index()] &= runs[run.start].is_some() && writer[slot.index()] == Some(run.start);
        }
    }
    passing
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
    /// One entry per step: what [`Kernel::prepare`](crate::record::Kernel::prepare) returned.
    prepared: Vec<PreparedData>,
    /// Memory for the slots that threads have to themselves.
    spare: Mutex<Vec<Memory>>,
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
        let prepared = if matches!(body, Body::Native(_)) { prepare(recording) } else { Vec::new() };
        let mut session = Self { body, layout, memory, runs, prepared, spare: Mutex::default() };
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
            Body::Reference => steps.for_each(|i| self.play_whole(recording, i)),
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
                    self.play_run(&steps[..same], next, &run, items as usize);
                    self.runs[next] = Some(run);
                    next += same;
                }
                None => {
                    self.play_whole(recording, next);
                    next += 1;
                }
            }
        }
    }

    /// Plays step `i` on all items.
    fn play_whole(&mut self, recording: &Recording, i: usize) {
        let step = &recording.steps()[i];
        let items = self.items(step);
        let written: Vec<Slot> = step.bound().filter(|(_, binding)| binding.access != Access::Read).map(|(slot, _)| slot).collect();
        let mut taken = self.take(written.iter().copied());
        let places: Vec<Place> = written.iter().map(|slot| self.layout.place(*slot)).collect();
        let mut write = views(&mut taken, &places);
        let reads = step.bound().filter(|(_, binding)| binding.access == Access::Read);
        let prepared = self.prepared.get(i).and_then(Option::as_deref);
        let read: Vec<&[f32]> = reads.map(|(slot, _)| self.slot(slot)).chain(prepared).collect();
        match self.body {
            Body::Reference => step.kernel.reference(items, &read, &mut write),
            Body::Native(_) => step.kernel.native(items, &read, &mut write),
        }
        self.put_back(taken);
    }

    /// Passes a few items at a time through all steps, the first of which is step `first`, on all threads.
    fn play_run(&mut self, steps: &[Step], first: usize, run: &StepRun, items: usize) {
        let threads = rayon::current_num_threads();
        // What passes through the run needs memory only for the items of a batch, if no step is left out. A
        // step that is played alone leaves all it writes, so that it can be compared with its twin.
        let passing = if steps.len() > 1 && steps.len() == run.steps.len() { &run.passing[..] } else { &[] };
        let each: usize = passing.iter().map(|k| run.written[*k].1).sum();
        // Equal shares, the same number for each thread.
        let rounds = items.div_ceil(threads * (SPARE / each.max(1)).clamp(1, TOGETHER)).max(1);
        let together = items.div_ceil(threads * rounds).max(1);
        let passes = |k: usize| passing.contains(&k);
        let room = |k: usize| (run.written[k].1 * together).next_multiple_of(LINE);
        let all: usize = passing.iter().map(|k| room(*k)).sum();
        let kept: Vec<Slot> = (0..run.written.len()).filter(|k| !passes(*k)).map(|k| Slot(run.written[k].0)).collect();
        let mut taken = self.take(kept.iter().copied());
        let places: Vec<Place> = kept.iter().map(|slot| self.layout.place(*slot)).collect();
        let mut views = views(&mut taken, &places).into_iter();
        let mut batches: Vec<Vec<&mut [f32]>> = (0..items.div_ceil(together)).map(|_| Vec::with_capacity(run.written.len())).collect();
        for (k, (_, each)) in run.written.iter().enumerate() {
            let view = if passes(k) { None } else { views.next() };
            let mut parts = view.map(|view| view.chunks_mut(each * together));
            batches.iter_mut().for_each(|batch| batch.push(parts.as_mut().and_then(Iterator::next).unwrap_or_default()));
        }
        let this = &*self;
        let play = |(i, mut parts): (usize, Vec<&mut [f32]>)| {
            let start = i * together;
            let items = start..(start + together).min(items);
            let mut memory = this.spare(all);
            let mut rest = memory.get_mut();
            for k in passing {
                (parts[*k], rest) = rest.split_at_mut(room(*k));
            }
            for (k, (step, each)) in steps.iter().zip(&run.each).enumerate() {
                this.play_part(step, this.prepared[first + k].as_deref(), each, run, items.clone(), &mut parts);
            }
            this.spare.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
        };
        if threads > 1 {
            batches.into_par_iter().enumerate().for_each(play);
        } else {
            batches.into_iter().enumerate().for_each(play);
        }
        self.put_back(taken);
    }

    /// Returns memory of at least `len` elements that nobody uses.
    fn spare(&self, len: usize) -> Memory {
        let found = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        found.filter(|memory| memory.get().len() >= len).unwrap_or_else(|| Memory::new(len))
    }

    /// Plays one step on some items; `parts` holds their elements in the slots that the run writes.
    fn play_part(
        &self,
        step: &Step,
        prepared: Option<&[f32]>,
        each: &[usize],
        run: &StepRun,
        items: Range<usize>,
        parts: &mut [&mut [f32]],
    ) {
        let mut write: [&mut [f32]; BINDINGS] = Default::default();
        // The last one is for what was prepared.
        let mut read: [&[f32]; BINDINGS + 1] = [&[]; BINDINGS + 1];
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
        if let Some(prepared) = prepared {
            read[reads] = prepared;
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

/// What a kernel prepares from constants, if anything.
type PreparedData = Option<Arc<[f32]>>;

/// Returns what the kernel of each step prepares, once for all steps that share their constants.
fn prepare(recording: &Recording) -> Vec<PreparedData> {
    let mut done: HashMap<(&str, Vec<Option<Slot>>), PreparedData> = HashMap::new();
    let each = recording.steps().iter().map(|step| {
        let reads = step.bound().filter(|(_, binding)| binding.access == Access::Read).map(|(slot, _)| slot);
        let constant = |slot: &Slot| recording.slots()[slot.index()].constant();
        let constants: Vec<Option<Slot>> = reads.map(|slot| Some(slot).filter(|slot| constant(slot).is_some())).collect();
        let data: Vec<Option<&[f32]>> = constants.iter().map(|slot| slot.as_ref().and_then(constant).map(|data| &data[..])).collect();
        done.entry((step.kernel.name(), constants)).or_insert_with(|| step.kernel.prepare(&data).map(Arc::from)).clone()
    });
    each.collect()
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
