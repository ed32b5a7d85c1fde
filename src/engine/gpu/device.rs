//! [`Gpu`]: one opened device with its compiled pipelines.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::adapter::{AdapterReport, all, choose, report};
use super::counts::Counts;
use super::fault::{DeviceFault, scoped};
use crate::engine::profile::Tally;
use crate::engine::{Device, EngineError};
use crate::record::{Access, AnyKernel, DeviceFacts};

type PipelineKey = (&'static str, Vec<(&'static str, u64)>);

/// An opened device. Clones share it and its pipelines.
#[derive(Debug, Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) fault: DeviceFault,
    pub(super) counts: Counts,
    report: AdapterReport,
    pipelines: Arc<Mutex<HashMap<PipelineKey, wgpu::ComputePipeline>>>,
}

impl Gpu {
    /// How long one submission may take before the device counts as hung.
    pub(super) const TIMEOUT: Duration = Duration::from_secs(120);

    /// Opens the adapter that `device` means, with default limits but for the size of buffers, and no optional feature but timestamps where it has them;
    /// `None` for [`Device::Auto`] on a machine without a hardware GPU.
    ///
    /// # Errors
    ///
    /// [`EngineError::NoAdapter`] if none fits, [`EngineError::Open`] if it refuses.
    pub fn open(device: &Device) -> Result<Option<Self>, EngineError> {
        choose(device)?.map(|adapter| Self::of(&adapter)).transpose()
    }

    /// A device that the caller opened from `adapter`, for example to draw with it too. Its device-lost and uncaptured-error callbacks are
    /// replaced: errors of the caller's own calls are logged, and are no faults of the engine.
    ///
    /// # Errors
    ///
    /// [`EngineError::Open`] if the device has less than WebGPU's default limits or runs no compute shaders.
    pub fn from_device(adapter: &wgpu::Adapter, device: wgpu::Device, queue: wgpu::Queue) -> Result<Self, EngineError> {
        let report = report(adapter);
        let compute = adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS);
        if !compute || !wgpu::Limits::default().check_limits(&device.limits()) {
            let message = "it was opened with less than the default limits, or cannot run compute shaders".to_owned();
            return Err(EngineError::Open { adapter: report.name, message });
        }
        let fault = DeviceFault::watch_shared(&device);
        Ok(Self { device, queue, fault, counts: Counts::default(), report, pipelines: Arc::default() })
    }

    /// What the device was asked since it was opened.
    pub fn tally(&self) -> Tally {
        self.counts.tally()
    }

    /// Opens every adapter of every backend that `wanted` wants; an adapter that refuses is told beside the others.
    pub fn open_all(wanted: impl Fn(&AdapterReport) -> bool) -> Vec<(AdapterReport, Result<Self, EngineError>)> {
        let adapters = all().into_iter().map(|adapter| (report(&adapter), adapter));
        adapters.filter(|(report, _)| wanted(report)).map(|(report, adapter)| (report, Self::of(&adapter))).collect()
    }

    fn of(adapter: &wgpu::Adapter) -> Result<Self, EngineError> {
        let report = report(adapter);
        // Only `profile` asks for timestamps, and has another way where there are none.
        let required_features = adapter.features() & wgpu::Features::TIMESTAMP_QUERY;
        // Kernels must run within the default limits everywhere; how much a buffer holds is the adapter's affair.
        let offered = adapter.limits();
        let required_limits = wgpu::Limits {
            max_buffer_size: offered.max_buffer_size,
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            ..Default::default()
        };
        let descriptor = wgpu::DeviceDescriptor { label: Some("mtcmcn"), required_features, required_limits, ..Default::default() };
        let (device, queue) = pollster::block_on(adapter.request_device(&descriptor))
            .map_err(|error| EngineError::Open { adapter: report.name.clone(), message: error.to_string() })?;
        let fault = DeviceFault::watch(&device);
        Ok(Self { device, queue, fault, counts: Counts::default(), report, pipelines: Arc::default() })
    }

    /// What it runs on.
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// What a recording for this device may know of it.
    pub fn facts(&self) -> DeviceFacts {
        let binding_bytes = self.device.limits().max_storage_buffer_binding_size;
        DeviceFacts { binding_bytes, ..DeviceFacts::adapter(self.report.hardware) }
    }

    /// Destroys the device, as a driver reset would: every later call fails with [`EngineError::Lost`].
    pub fn destroy(&self) {
        self.device.destroy();
        let _ = self.device.poll(wgpu::PollType::Poll);
    }

    /// The pipeline of `kernel`, compiled at most once per device.
    pub(super) fn pipeline(&self, kernel: &dyn AnyKernel) -> Result<wgpu::ComputePipeline, EngineError> {
        let overrides = kernel.overrides();
        let key = (kernel.name(), overrides.iter().map(|(name, value)| (*name, value.to_bits())).collect());
        let mut pipelines = self.pipelines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipeline) = pipelines.get(&key) {
            return Ok(pipeline.clone());
        }
        let pipeline = scoped(&self.device, kernel.name(), || self.compile(kernel, &overrides))?;
        pipelines.insert(key, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &dyn AnyKernel, overrides: &[(&'static str, f64)]) -> wgpu::ComputePipeline {
        let label = Some(kernel.name());
        let source = wgpu::ShaderSource::Wgsl(kernel.wgsl().join("\n").into());
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor { label, source });
        let uniform = wgpu::BufferBindingType::Uniform;
        let storage = kernel.bindings().iter().map(|b| match b.access {
            Access::Read if b.uniform => uniform,
            access => wgpu::BufferBindingType::Storage { read_only: access == Access::Read },
        });
        let entries: Vec<_> = std::iter::once(uniform)
            .chain(storage)
            .zip(0..)
            .map(|(ty, binding)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
                count: None,
            })
            .collect();
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let layout = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label,
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions { constants: overrides, zero_initialize_workgroup_memory: true },
            cache: None,
        })
    }
}

/// A buffer of `size` bytes.
pub(super) fn create(gpu: &Gpu, label: &str, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: Some(label), size, usage, mapped_at_creation: false })
}
