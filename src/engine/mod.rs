//! Engines play recordings: the GPU engine as one submission, the CPU engine with native kernels, the twin
//! with the references.

pub mod compare;
mod device;
mod error;
pub mod gpu;
mod host;
mod memory;
mod output;
pub mod profile;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Range;
use std::sync::Arc;

use gpu::{Gpu, GpuFlight, GpuFrame, GpuSession};
use host::{Body, HostSession};
use profile::Tally;

use crate::record::{DeviceFacts, Part, Recording, Slot, State, StateError};
pub use crate::simd::Simd;
use crate::tensor::Tensor;
pub use device::Device;
pub use error::EngineError;
pub use output::{OutputView, Outputs};

#[derive(Debug, Clone)]
enum Inner {
    Gpu(Gpu),
    Host(Body),
}

/// Plays recordings on one device. Clones share the device and its compiled kernels.
#[derive(Debug, Clone)]
pub struct Engine(Inner);

impl Engine {
    /// Opens `device`.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoAdapter`] if no adapter matches, [`EngineError::Open`] if the adapter cannot be
    /// opened.
    pub fn open(device: &Device) -> Result<Self, EngineError> {
        Self::open_with_threads(device, None)
    }

    /// Opens `device` like [`Engine::open`]. If this yields the CPU engine and `threads` is given, the engine
    /// gets that many threads of its own.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`Engine::open`] and [`Engine::cpu_with_threads`].
    pub fn open_with_threads(device: &Device, threads: Option<usize>) -> Result<Self, EngineError> {
        let cpu = || threads.map_or_else(|| Ok(Self::cpu()), Self::cpu_with_threads);
        match device {
            Device::Cpu => cpu(),
            Device::Twin => Ok(Self::twin()),
            other => Gpu::open(other)?.map_or_else(cpu, |gpu| Ok(Self(Inner::Gpu(gpu)))),
        }
    }

    /// Creates the native CPU engine on all cores. It uses the rayon pool in which a play is started, or else
    /// the global pool.
    pub fn cpu() -> Self {
        Self(Inner::Host(Body::Native(None)))
    }

    /// Creates the native CPU engine with `threads` threads of its own, at least one.
    ///
    /// # Errors
    ///
    /// [`EngineError::Threads`] if the system cannot start the threads.
    pub fn cpu_with_threads(threads: usize) -> Result<Self, EngineError> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(|i| format!("mtcmcn {i}"));
        let pool = builder.build().map_err(|error| EngineError::Threads { threads, message: error.to_string() })?;
        Ok(Self(Inner::Host(Body::Native(Some(Arc::new(pool))))))
    }

    /// Creates the engine that runs the scalar reference of every kernel.
    pub fn twin() -> Self {
        Self(Inner::Host(Body::Reference))
    }

    /// Returns a description of the device that the engine runs on.
    pub fn name(&self) -> String {
        match &self.0 {
            Inner::Gpu(gpu) => gpu.report().to_string(),
            Inner::Host(Body::Native(None)) => format!("CPU ({})", Simd::chosen()),
            Inner::Host(Body::Native(Some(pool))) => format!("CPU ({}, threads: {})", Simd::chosen(), pool.current_num_threads()),
            Inner::Host(Body::Reference) => "twin".to_owned(),
        }
    }

    /// Returns the underlying GPU, if any.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.0 {
            Inner::Gpu(gpu) => Some(gpu),
            Inner::Host(_) => None,
        }
    }

    /// Returns the properties of the device that a recording may depend on.
    pub fn facts(&self) -> DeviceFacts {
        self.gpu().map_or(DeviceFacts::HOST, Gpu::facts)
    }

    /// Returns the number of threads of the CPU engine, 1 for the twin, and `None` for a GPU or a software
    /// adapter, whose threads belong to the driver.
    pub fn threads(&self) -> Option<usize> {
        match &self.0 {
            Inner::Gpu(_) => None,
            Inner::Host(Body::Native(pool)) => {
                Some(pool.as_ref().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads()))
            }
            Inner::Host(Body::Reference) => Some(1),
        }
    }

    /// Returns counters of the work submitted to the device since it was opened; all zero for the CPU engine.
    pub fn tally(&self) -> Tally {
        self.gpu().map_or_else(Tally::default, Gpu::tally)
    }

    /// Prepares `recording` for play: memory, constants, pipelines.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device cannot hold or compile it.
    pub fn load(&self, recording: Recording) -> Result<Session, EngineError> {
        let player = match &self.0 {
            Inner::Gpu(gpu) => Player::Gpu(Box::new(GpuSession::new(gpu, &recording)?)),
            Inner::Host(body) => Player::Host(HostSession::new(&recording, body.clone())),
        };
        Ok(Session { recording, player })
    }
}

impl From<Gpu> for Engine {
    fn from(gpu: Gpu) -> Self {
        Self(Inner::Gpu(gpu))
    }
}

enum Player {
    Gpu(Box<GpuSession>),
    Host(HostSession),
}

/// A play in progress, which [`Session::collect`] waits for.
#[derive(Debug)]
pub enum Flight {
    /// The play runs on a device.
    Gpu(GpuFlight),
    /// The play has finished with these outputs.
    Landed(Outputs),
}

/// A recording loaded on an engine.
pub struct Session {
    recording: Recording,
    player: Player,
}

impl Session {
    /// Returns the recording.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Overwrites the start of `slot` with `bytes` (four per element), for all later plays; for an input
    /// slot, for the next play only.
    ///
    /// # Panics
    ///
    /// Panics if `bytes` is longer than the slot.
    pub fn write(&mut self, slot: Slot, bytes: &[u8]) {
        self.write_from(slot, 0, bytes);
    }

    /// Overwrites `slot` as [`Session::write`] does, from element `first` on.
    ///
    /// # Panics
    ///
    /// Panics if `bytes` reaches past the end of the slot.
    pub fn write_from(&mut self, slot: Slot, first: usize, bytes: &[u8]) {
        let start = first * 4;
        assert!(start + bytes.len() <= self.recording.slots()[slot.index()].len * 4, "write past the end of a slot");
        match &mut self.player {
            Player::Gpu(session) => session.write(&self.recording, slot, start, bytes),
            Player::Host(session) => bytemuck::cast_slice_mut(session.slot_mut(slot))[start..][..bytes.len()].copy_from_slice(bytes),
        }
    }

    /// Makes the next play read the input `slot` from `frame` instead of a buffer of its own. Returns `false`
    /// if the frame is on another device or too small; the slot must then be written.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device is out of memory.
    pub fn lend(&mut self, slot: Slot, frame: &GpuFrame) -> Result<bool, EngineError> {
        match &mut self.player {
            Player::Gpu(session) => session.lend(&self.recording, slot, frame),
            Player::Host(_) => Ok(false),
        }
    }

    /// Plays every step and returns the recording's outputs, by slot.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn play(&mut self) -> Result<Outputs, EngineError> {
        let flight = self.submit()?;
        self.collect(flight)
    }

    /// Starts a play of every step. A GPU runs it while the host continues: inputs of the next play may be
    /// written and submitted immediately, and plays run in order. The engines on the host finish the play
    /// before they return.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn submit(&mut self) -> Result<Flight, EngineError> {
        match &mut self.player {
            Player::Gpu(session) => session.submit_whole(&self.recording).map(Flight::Gpu),
            Player::Host(_) => self.submit_steps(std::slice::from_ref(&(0..self.recording.steps().len()))),
        }
    }

    /// Starts a play of the steps of `parts`, one part after the other, in one submission; see
    /// [`Session::submit`].
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn submit_parts(&mut self, parts: &[Part]) -> Result<Flight, EngineError> {
        let steps: Vec<Range<usize>> = parts.iter().map(|part| self.recording.steps_of(*part)).collect();
        self.submit_steps(&steps)
    }

    fn submit_steps(&mut self, ranges: &[Range<usize>]) -> Result<Flight, EngineError> {
        match &mut self.player {
            Player::Gpu(session) => {
                let steps: Vec<usize> = ranges.iter().cloned().flatten().collect();
                session.submit(&self.recording, steps.into_iter()).map(Flight::Gpu)
            }
            Player::Host(session) => {
                ranges.iter().for_each(|range| session.play(&self.recording, range.clone()));
                let outputs = self.recording.outputs().iter();
                Ok(Flight::Landed(outputs.map(|slot| (*slot, session.slot(*slot).to_vec())).collect()))
            }
        }
    }

    /// Returns the number of bytes of all slots of the recording. Plays in flight have inputs of their own in
    /// addition.
    pub fn memory(&self) -> u64 {
        4 * match &self.player {
            Player::Gpu(session) => session.elements(),
            Player::Host(session) => session.elements(),
        } as u64
    }

    /// Returns every state of the recording by name, with its contents after the plays so far, as stored in a
    /// checkpoint.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn states(&self) -> Result<BTreeMap<String, Tensor>, EngineError> {
        let states: Vec<(Slot, State)> = self.recording.states().map(|(slot, state)| (slot, state.clone())).collect();
        self.read_as(&states)
    }

    /// Returns the contents of slots, such as gradients, each unpacked into the tensors of a state.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn read_as(&self, slots: &[(Slot, State)]) -> Result<BTreeMap<String, Tensor>, EngineError> {
        // Each arena is read only once.
        let mut roots: BTreeMap<Slot, Vec<f32>> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for (slot, state) in slots {
            let root = self.recording.root(*slot);
            if let Entry::Vacant(vacant) = roots.entry(root) {
                vacant.insert(self.peek(root)?);
            }
            let start = self.recording.slots()[slot.index()].range.map_or(0, |(_, start)| start);
            all.extend(state.unpack(&roots[&root][start..]));
        }
        Ok(all)
    }

    /// Sets every state of the recording for all later plays; tensors with other names are ignored.
    ///
    /// # Errors
    ///
    /// [`StateError`] if a tensor is missing or has the wrong shape; no state is set then.
    pub fn set(&mut self, states: &BTreeMap<String, Tensor>) -> Result<(), StateError> {
        let packed = self.recording.states().map(|(slot, state)| Ok((slot, state.pack(states)?)));
        for (slot, data) in packed.collect::<Result<Vec<_>, StateError>>()? {
            self.write(slot, bytemuck::cast_slice(&data));
        }
        Ok(())
    }

    /// Waits for a play of this session and returns the recording's outputs, by slot.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn collect(&mut self, flight: Flight) -> Result<Outputs, EngineError> {
        #[allow(clippy::redundant_closure_for_method_calls, reason = "the method alone is of one lifetime, the closure of any")]
        let all = |outputs: &OutputView<'_>| outputs.all();
        self.collect_with(flight, all)
    }

    /// Waits for a play of this session and passes its outputs to `look`, where they lie.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn collect_with<T>(&mut self, flight: Flight, look: impl FnOnce(&OutputView<'_>) -> T) -> Result<T, EngineError> {
        match (&mut self.player, flight) {
            (Player::Gpu(session), Flight::Gpu(flight)) => session.collect(flight, look),
            (_, Flight::Landed(outputs)) => Ok(look(&OutputView::from(&outputs))),
            (Player::Host(_), Flight::Gpu(_)) => Err(EngineError::Lost { message: "the play belongs to another session".to_owned() }),
        }
    }

    /// Plays only the step at `index`, for tests and `doctor`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn play_step(&mut self, index: usize) -> Result<(), EngineError> {
        match &mut self.player {
            Player::Gpu(session) => {
                let flight = session.submit(&self.recording, std::iter::once(index))?;
                session.collect(flight, |_| ())
            }
            Player::Host(session) => {
                session.play(&self.recording, index..index + 1);
                Ok(())
            }
        }
    }

    /// Returns the current contents of any slot, for tests and `doctor`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn peek(&self, slot: Slot) -> Result<Vec<f32>, EngineError> {
        let len = self.recording.slots()[slot.index()].len;
        match &self.player {
            Player::Gpu(session) => session.peek(slot).map(|mut data| {
                data.truncate(len);
                data
            }),
            Player::Host(session) => Ok(session.slot(slot).to_vec()),
        }
    }
}
