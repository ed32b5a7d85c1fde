//! Listing of adapters, and selection of the one that a [`Device`] names.

use wgpu::{Adapter, Backends, DeviceType, Instance, InstanceDescriptor};

use crate::engine::{Device, EngineError};

/// An adapter as seen through one backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterReport {
    /// Name reported by the driver.
    pub name: String,
    /// `vulkan`, `metal`, `dx12` or `gl`.
    pub backend: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Whether this is a hardware GPU rather than a software adapter.
    pub hardware: bool,
    /// Optional features relevant to kernels.
    pub features: Vec<String>,
    /// Size of the largest storage binding in bytes.
    pub max_binding_bytes: u64,
    /// Largest number of invocations in a workgroup.
    pub max_invocations: u32,
    /// Workgroup memory in bytes.
    pub workgroup_bytes: u32,
}

impl std::fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.backend)
    }
}

fn instance(backends: Backends) -> Instance {
    let mut descriptor = InstanceDescriptor::new_without_display_handle();
    descriptor.backends = backends;
    Instance::new(descriptor)
}

/// Returns the adapters of `backends`, hardware first.
fn list(backends: Backends) -> Vec<Adapter> {
    let mut found = pollster::block_on(instance(backends).enumerate_adapters(backends));
    found.sort_by_key(|adapter| match adapter.get_info().device_type {
        DeviceType::DiscreteGpu => 0,
        DeviceType::IntegratedGpu => 1,
        DeviceType::VirtualGpu => 2,
        DeviceType::Other => 3,
        DeviceType::Cpu => 4,
    });
    found
}

fn is_hardware(adapter: &Adapter) -> bool {
    // With some drivers GL reports llvmpipe as `Other`; its name identifies it.
    let info = adapter.get_info();
    info.device_type != DeviceType::Cpu && !info.name.to_ascii_lowercase().contains("llvmpipe")
}

/// Returns every adapter of every backend, best first.
pub(super) fn all() -> Vec<Adapter> {
    let mut found = list(Backends::PRIMARY);
    found.extend(list(Backends::GL));
    found
}

pub(super) fn report(adapter: &Adapter) -> AdapterReport {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let interesting = [
        ("timestamp queries", wgpu::Features::TIMESTAMP_QUERY),
        ("f16", wgpu::Features::SHADER_F16),
        ("subgroups", wgpu::Features::SUBGROUP),
        ("mappable buffers", wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
    ];
    AdapterReport {
        backend: backend_name(info.backend).to_owned(),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        hardware: is_hardware(adapter),
        features: interesting.iter().filter(|(_, f)| features.contains(*f)).map(|(name, _)| (*name).to_owned()).collect(),
        max_binding_bytes: limits.max_storage_buffer_binding_size,
        max_invocations: limits.max_compute_invocations_per_workgroup,
        workgroup_bytes: limits.max_compute_workgroup_storage_size,
        name: info.name,
    }
}

fn backend_name(backend: wgpu::Backend) -> &'static str {
    match backend {
        wgpu::Backend::Gl => "gl",
        other => other.to_str(),
    }
}

/// Returns the adapter that `device` names, or `None` for [`Device::Auto`] without a hardware GPU.
///
/// # Errors
///
/// [`EngineError::NoAdapter`], which lists the adapters that are present.
pub(super) fn choose(device: &Device) -> Result<Option<Adapter>, EngineError> {
    let compute = |adapter: &Adapter| {
        adapter.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
            && wgpu::Limits::default().check_limits(&adapter.limits())
    };
    let backends = match device {
        Device::Backend(name) if name == "vulkan" => Backends::VULKAN,
        Device::Backend(name) if name == "metal" => Backends::METAL,
        Device::Backend(name) if name == "dx12" => Backends::DX12,
        Device::Backend(_) => Backends::GL,
        _ => Backends::PRIMARY,
    };
    // `name#1` is the second adapter of that name.
    let (part, index) = match device {
        Device::Named(name) => name.rsplit_once('#').and_then(|(part, index)| Some((part, index.parse().ok()?))).unwrap_or((name, 0)),
        _ => ("", 0),
    };
    let fits = |adapter: &Adapter| match device {
        Device::Auto => is_hardware(adapter),
        Device::Named(_) => report(adapter).to_string().to_lowercase().contains(&part.to_lowercase()),
        _ => true,
    };
    let mut found: Vec<Adapter> = list(backends).into_iter().filter(compute).collect();
    // GL is a last resort, used by name or for any GPU: it starts slowly, and without a display server its
    // driver prints to stderr.
    if backends == Backends::PRIMARY && *device != Device::Auto && !found.iter().any(fits) {
        found.extend(list(Backends::GL).into_iter().filter(compute));
    }
    let fitting: Vec<usize> = (0..found.len()).filter(|&i| fits(&found[i])).collect();
    match fitting.get(index).copied() {
        Some(i) => Ok(Some(found.swap_remove(i))),
        None if *device == Device::Auto => Ok(None),
        None => {
            let names: Vec<String> = found.iter().map(|adapter| report(adapter).to_string()).collect();
            let present = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
            Err(EngineError::NoAdapter { wanted: device.to_string(), present })
        }
    }
}
