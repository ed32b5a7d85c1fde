//! [`DeviceFacts`]: the properties of a device that a recording may depend on.

/// What executes the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executor {
    /// The host itself: the CPU engine or the twin.
    Host,
    /// A driver that runs shaders on the host's processor.
    SoftwareAdapter,
    /// A GPU.
    HardwareAdapter,
}

/// Properties of a device by which kernels, their number and their sizes are chosen; never its vendor or
/// name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What executes the steps.
    pub executor: Executor,
    /// Size of the largest storage binding in bytes.
    pub binding_bytes: u64,
}

impl DeviceFacts {
    /// Size in bytes of a storage binding that every WebGPU device supports.
    pub const DEFAULT_BINDING_BYTES: u64 = 128 << 20;

    /// Properties of the engines on the host, whose slots are limited only by memory.
    pub const HOST: Self = Self { executor: Executor::Host, binding_bytes: u64::MAX };

    /// Returns the properties of an adapter with WebGPU's default limits.
    pub const fn adapter(hardware: bool) -> Self {
        let executor = if hardware { Executor::HardwareAdapter } else { Executor::SoftwareAdapter };
        Self { executor, binding_bytes: Self::DEFAULT_BINDING_BYTES }
    }

    /// Returns the approximate number of invocations that keep the device busy; kernels split long sums into
    /// that many parts.
    pub fn parallelism(self) -> u32 {
        if self.executor == Executor::HardwareAdapter { 1 << 16 } else { 1 << 12 }
    }

    /// Returns whether weights in uniform buffers are read faster than those in storage buffers.
    pub fn uniforms_are_fast(self) -> bool {
        self.executor != Executor::Host
    }
}
