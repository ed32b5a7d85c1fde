//! [`DeviceFacts`]: what a recording may know of the device that will play it.

/// Who executes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// The host itself: the CPU engine or the twin.
    Host,
    /// A driver that runs shaders on the host's processor.
    SoftwareAdapter,
    /// A GPU.
    HardwareAdapter,
}

/// Facts of a device by which kernels, their number and their sizes are chosen; never its vendor or name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Who executes the steps.
    pub executor: Executor,
    /// Largest storage binding, bytes.
    pub binding_bytes: u64,
}

impl DeviceFacts {
    /// Bytes of a storage binding that every WebGPU device has.
    pub const DEFAULT_BINDING_BYTES: u64 = 128 << 20;

    /// Of the engines on the host, whose slots are as large as memory allows.
    pub const HOST: Self = Self { executor: Executor::Host, binding_bytes: u64::MAX };

    /// Of an adapter with WebGPU's default limits.
    pub const fn adapter(hardware: bool) -> Self {
        let executor = if hardware { Executor::HardwareAdapter } else { Executor::SoftwareAdapter };
        Self { executor, binding_bytes: Self::DEFAULT_BINDING_BYTES }
    }

    /// Invocations at once that keep the device busy, about: kernels split long sums in so many parts.
    pub fn parallelism(self) -> u32 {
        if self.executor == Executor::HardwareAdapter { 1 << 16 } else { 1 << 12 }
    }

    /// Whether weights in uniform buffers are read faster than those in storage buffers.
    pub fn uniforms_are_fast(self) -> bool {
        self.executor != Executor::Host
    }
}
