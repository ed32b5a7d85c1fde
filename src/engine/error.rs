//! [`EngineError`]: why an engine failed.

/// Errors of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No adapter matches the request.
    #[error("no GPU adapter fits {wanted:?} (present: {present}); `mtcmcn doctor` lists every adapter, `cpu` needs none")]
    NoAdapter {
        /// The device that was requested.
        wanted: String,
        /// The adapters that are present.
        present: String,
    },
    /// The adapter cannot be opened.
    #[error("adapter {adapter:?} did not open: {message}")]
    Open {
        /// Name of the adapter.
        adapter: String,
        /// Message from the driver.
        message: String,
    },
    /// A buffer is larger than the device allows.
    #[error("{slot} needs {bytes} bytes, the device binds at most {limit}")]
    TooLarge {
        /// Label of the slot.
        slot: String,
        /// Size of the slot.
        bytes: u64,
        /// Limit of the device.
        limit: u64,
    },
    /// A kernel needs more workgroups along one dimension than the device supports.
    #[error("{kernel} takes {groups} workgroups side by side, the device starts at most {limit}; a smaller batch may fit")]
    TooManyGroups {
        /// Name of the kernel.
        kernel: &'static str,
        /// Number of workgroups along its longer dimension.
        groups: u32,
        /// Limit of the device.
        limit: u32,
    },
    /// Out of device memory.
    #[error("the device has no memory for {what}")]
    OutOfMemory {
        /// What the memory was for.
        what: String,
    },
    /// The device rejected a shader or another object.
    #[error("the device rejected {what}: {message}")]
    Rejected {
        /// The object that was rejected.
        what: String,
        /// Message from the device.
        message: String,
    },
    /// The device is gone: reset, unplugged, or failed. Open a new engine.
    #[error("the GPU failed: {message}")]
    Lost {
        /// Message from the driver.
        message: String,
    },
    /// The system cannot start the threads.
    #[error("the CPU engine could not start {threads} threads: {message}")]
    Threads {
        /// Number of threads requested.
        threads: usize,
        /// Message from the system.
        message: String,
    },
    /// The device did not respond in time.
    #[error("the GPU did not finish within {seconds} s")]
    Timeout {
        /// Time waited, in seconds.
        seconds: u64,
    },
}
