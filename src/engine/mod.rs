//! Engines play recordings: the GPU engine as one submission, the CPU engine with native kernels, the twin with the references.

pub mod compare;
pub mod gpu;
mod host;
mod memory;
pub mod profile;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use gpu::{Gpu, GpuFlight, GpuFrame, GpuSession};
use host::{Body, HostSession};
use profile::Tally;

use crate::record::{DeviceFacts, Part, Recording, Slot, State, StateError};
pub use crate::simd::Simd;
use crate::tensor::Tensor;

/// Which device to run on. Parsed from `auto`, `gpu`, `cpu`, `twin`, a backend (`vulkan`, `metal`, `dx12`, `gl`) or part of an adapter's name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// A hardware GPU if there is one, else the CPU engine.
    #[default]
    Auto,
    /// The best adapter, a software one if there is no other.
    Gpu,
    /// The native CPU engine.
    Cpu,
    /// The scalar reference of every kernel: slow, exact.
    Twin,
    /// The best adapter of one backend.
    Backend(String),
    /// The first adapter whose name contains this, ignoring case.
    Named(String),
}

impl FromStr for Device {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let lower = text.trim().to_ascii_lowercase();
        Ok(match lower.as_str() {
            "" | "auto" => Self::Auto,
            "gpu" => Self::Gpu,
            "cpu" => Self::Cpu,
            "twin" => Self::Twin,
            "vulkan" | "metal" | "dx12" | "gl" => Self::Backend(lower),
            _ => Self::Named(text.trim().to_owned()),
        })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Gpu => "gpu",
            Self::Cpu => "cpu",
            Self::Twin => "twin",
            Self::Backend(name) | Self::Named(name) => name,
        })
    }
}

/// Why an engine failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No adapter fits.
    #[error("no GPU adapter fits {wanted:?} (present: {present}); `mtcmcn doctor` lists every adapter, `cpu` needs none")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// What there is.
        present: String,
    },
    /// The adapter refuses to open.
    #[error("adapter {adapter:?} did not open: {message}")]
    Open {
        /// Which adapter.
        adapter: String,
        /// What the driver says.
        message: String,
    },
    /// A buffer is larger than the device allows.
    #[error("{slot} needs {bytes} bytes, the device binds at most {limit}")]
    TooLarge {
        /// Which buffer.
        slot: String,
        /// Its size.
        bytes: u64,
        /// The device's limit.
        limit: u64,
    },
    /// A kernel takes more workgroups side by side than the device starts.
    #[error("{kernel} takes {groups} workgroups side by side, the device starts at most {limit}; a smaller batch may fit")]
    TooManyGroups {
        /// Which kernel.
        kernel: &'static str,
        /// Along its longer dimension.
        groups: u32,
        /// The device's limit.
        limit: u32,
    },
    /// Out of device memory.
    #[error("the device has no memory for {what}")]
    OutOfMemory {
        /// For what.
        what: String,
    },
    /// The device refused a shader or an object.
    #[error("the device rejected {what}: {message}")]
    Rejected {
        /// What it refused.
        what: String,
        /// What it said.
        message: String,
    },
    /// The device is gone: reset, unplugged, or failed. Open a new engine.
    #[error("the GPU failed: {message}")]
    Lost {
        /// What the driver says.
        message: String,
    },
    /// The system gives no threads.
    #[error("the CPU engine could not start {threads} threads: {message}")]
    Threads {
        /// How many were wanted.
        threads: usize,
        /// What the system says.
        message: String,
    },
    /// The device did not answer.
    #[error("the GPU did not finish within {seconds} s")]
    Timeout {
        /// How long it was waited for.
        seconds: u64,
    },
}

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
    /// [`EngineError::NoAdapter`] if none fits, [`EngineError::Open`] if it refuses.
    pub fn open(device: &Device) -> Result<Self, EngineError> {
        Self::open_with_threads(device, None)
    }

    /// As [`Engine::open`]; where that means the CPU engine, it has `threads` threads of its own if that is given.
    ///
    /// # Errors
    ///
    /// As [`Engine::open`] and [`Engine::cpu_with_threads`].
    pub fn open_with_threads(device: &Device, threads: Option<usize>) -> Result<Self, EngineError> {
        let cpu = || threads.map_or_else(|| Ok(Self::cpu()), Self::cpu_with_threads);
        match device {
            Device::Cpu => cpu(),
            Device::Twin => Ok(Self::twin()),
            other => Gpu::open(other)?.map_or_else(cpu, |gpu| Ok(Self(Inner::Gpu(gpu)))),
        }
    }

    /// The native CPU engine on all cores: on the threads of the rayon pool that a play is started in, which is the global one if none.
    pub fn cpu() -> Self {
        Self(Inner::Host(Body::Native(None)))
    }

    /// The native CPU engine on `threads` threads of its own, at least one.
    ///
    /// # Errors
    ///
    /// [`EngineError::Threads`] if the system gives no more threads.
    pub fn cpu_with_threads(threads: usize) -> Result<Self, EngineError> {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).thread_name(|i| format!("mtcmcn {i}"));
        let pool = builder.build().map_err(|error| EngineError::Threads { threads, message: error.to_string() })?;
        Ok(Self(Inner::Host(Body::Native(Some(Arc::new(pool))))))
    }

    /// The scalar reference of every kernel.
    pub fn twin() -> Self {
        Self(Inner::Host(Body::Reference))
    }

    /// What the engine runs on, in words.
    pub fn name(&self) -> String {
        match &self.0 {
            Inner::Gpu(gpu) => gpu.report().to_string(),
            Inner::Host(Body::Native(None)) => format!("CPU ({})", Simd::chosen()),
            Inner::Host(Body::Native(Some(pool))) => format!("CPU ({}, threads: {})", Simd::chosen(), pool.current_num_threads()),
            Inner::Host(Body::Reference) => "twin".to_owned(),
        }
    }

    /// The GPU beneath, if it is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        match &self.0 {
            Inner::Gpu(gpu) => Some(gpu),
            Inner::Host(_) => None,
        }
    }

    /// What a recording for this engine may know of it.
    pub fn facts(&self) -> DeviceFacts {
        self.gpu().map_or(DeviceFacts::HOST, Gpu::facts)
    }

    /// Threads of the CPU engine, 1 of the twin; `None` for a GPU, software adapters included: their threads are the driver's.
    pub fn threads(&self) -> Option<usize> {
        match &self.0 {
            Inner::Gpu(_) => None,
            Inner::Host(Body::Native(pool)) => {
                Some(pool.as_ref().map_or_else(rayon::current_num_threads, |pool| pool.current_num_threads()))
            }
            Inner::Host(Body::Reference) => Some(1),
        }
    }

    /// What was asked of the device since it was opened; all zero for the CPU engine.
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

/// Contents of the output slots after a play.
pub type Outputs = Vec<(Slot, Vec<f32>)>;

/// A play under way: [`Session::collect`] waits for it.
#[derive(Debug)]
pub enum Flight {
    /// On a device.
    Gpu(GpuFlight),
    /// Over: these are its outputs.
    Landed(Outputs),
}

/// A recording loaded on an engine.
pub struct Session {
    recording: Recording,
    player: Player,
}

impl Session {
    /// What is played.
    pub fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Overwrites the start of `slot` with `bytes` (four a element) for the plays to come; of an input slot, for the next one.
    ///
    /// # Panics
    ///
    /// If `bytes` is longer than the slot.
    pub fn write(&mut self, slot: Slot, bytes: &[u8]) {
        assert!(bytes.len() <= self.recording.slots()[slot.index()].len * 4, "write past the end of a slot");
        match &mut self.player {
            Player::Gpu(session) => session.write(&self.recording, slot, bytes),
            Player::Host(session) => bytemuck::cast_slice_mut(session.slot_mut(slot))[..bytes.len()].copy_from_slice(bytes),
        }
    }

    /// Lets the next play read the input `slot` from `frame` instead of a buffer of its own; `false` if that is not on the session's device
    /// or too small, and must be written.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device has no memory for it.
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

    /// Starts a play of every step. A GPU runs it while the host goes on: inputs of the next play may be written and submitted at once,
    /// plays run in order. The engines on the host play at once.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn submit(&mut self) -> Result<Flight, EngineError> {
        let all = 0..self.recording.steps().len();
        self.submit_steps(&[all])
    }

    /// As [`Session::submit`], of the steps of `parts` one after the other, in one submission.
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

    /// Bytes that the slots of the recording take together; plays in flight have inputs of their own beside them.
    pub fn memory(&self) -> u64 {
        4 * match &self.player {
            Player::Gpu(session) => session.elements(),
            Player::Host(session) => session.elements(),
        } as u64
    }

    /// Every state of the recording by name, as it is after the plays so far: this is what a checkpoint keeps.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn states(&self) -> Result<BTreeMap<String, Tensor>, EngineError> {
        let states: Vec<(Slot, State)> = self.recording.states().map(|(slot, state)| (slot, state.clone())).collect();
        self.read_as(&states)
    }

    /// What slots hold, each as the tensors of a state: of gradients, for example.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn read_as(&self, slots: &[(Slot, State)]) -> Result<BTreeMap<String, Tensor>, EngineError> {
        // Each arena is read once.
        let mut roots: BTreeMap<Slot, Vec<f32>> = BTreeMap::new();
        let mut all = BTreeMap::new();
        for (slot, state) in slots {
            let root = self.recording.root(*slot);
            if !roots.contains_key(&root) {
                roots.insert(root, self.peek(root)?);
            }
            let start = self.recording.slots()[slot.index()].range.map_or(0, |(_, start)| start);
            all.extend(state.unpack(&roots[&root][start..]));
        }
        Ok(all)
    }

    /// Sets every state of the recording for the plays to come; tensors of other names are of no matter.
    ///
    /// # Errors
    ///
    /// [`StateError`] if one is missing or misshapen; nothing is set then.
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
        match (&mut self.player, flight) {
            (Player::Gpu(session), Flight::Gpu(flight)) => session.collect(flight),
            (_, Flight::Landed(outputs)) => Ok(outputs),
            (Player::Host(_), Flight::Gpu(_)) => Err(EngineError::Lost { message: "the play belongs to another session".to_owned() }),
        }
    }

    /// Plays only the step at `index`: for tests and `doctor`.
    ///
    /// # Errors
    ///
    /// [`EngineError`] if the device fails.
    pub fn play_step(&mut self, index: usize) -> Result<(), EngineError> {
        match &mut self.player {
            Player::Gpu(session) => {
                let flight = session.submit(&self.recording, std::iter::once(index))?;
                session.collect(flight).map(drop)
            }
            Player::Host(session) => {
                session.play(&self.recording, index..index + 1);
                Ok(())
            }
        }
    }

    /// Contents of any slot as they are now: for tests and `doctor`.
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
