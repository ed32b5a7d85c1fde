//! Which engines are measured, and what the paper says of their kind.

use anyhow::{Context as _, Result};
use mtcmcn::engine::gpu::{AdapterReport, Gpu};
use mtcmcn::{Device, Engine};

use super::args::EngineArgs;

/// One engine to be measured, or why it cannot be.
pub struct FoundEngine {
    /// What `--device` of another process would call it.
    pub device: String,
    pub engine: Result<Engine>,
}

/// The engines that `args` means, each once, in order.
pub fn open(args: &EngineArgs) -> Vec<FoundEngine> {
    let mut found: Vec<FoundEngine> = Vec::new();
    let mut add = |candidate: FoundEngine| {
        if !found.iter().any(|other| other.device == candidate.device) {
            found.push(candidate);
        }
    };
    let threads = args.threads.map(|threads| threads as usize);
    let cpu = || FoundEngine { device: "cpu".to_owned(), engine: Engine::open_with_threads(&Device::Cpu, threads).map_err(Into::into) };
    if args.device.is_empty() {
        add(cpu());
        match Gpu::open(&Device::Auto) {
            Ok(Some(gpu)) => add(named(gpu.into())),
            Ok(None) => {}
            Err(error) => add(FoundEngine { device: "gpu".to_owned(), engine: Err(error.into()) }),
        }
    }
    for name in &args.device {
        if name.eq_ignore_ascii_case("all") {
            add(cpu());
            for (report, gpu) in Gpu::open_all(|_| true) {
                add(FoundEngine { device: report.to_string(), engine: gpu.map(Engine::from).map_err(Into::into) });
            }
            continue;
        }
        let Ok(device) = name.parse();
        match Engine::open_with_threads(&device, threads) {
            Ok(engine) => add(named(engine)),
            Err(error) => add(FoundEngine { device: name.clone(), engine: Err(error).with_context(|| format!("--device {name}")) }),
        }
    }
    found
}

fn named(engine: Engine) -> FoundEngine {
    let device = match engine.gpu() {
        Some(gpu) => gpu.report().to_string(),
        None if engine.name() == Engine::twin().name() => "twin".to_owned(),
        None => "cpu".to_owned(),
    };
    FoundEngine { device, engine: Ok(engine) }
}

/// Threads that the CPU engine has with these arguments.
pub fn threads(args: &EngineArgs) -> usize {
    args.threads.map_or_else(rayon::current_num_threads, |threads| threads as usize)
}

/// Frames a second that the paper claims on a GPU and on a CPU.
pub const CLAIMS: [f64; 2] = [99.0, 16.0];

/// The claim for this kind of engine, and the kind in words. What a software adapter computes, the CPU does.
pub fn claim(adapter: Option<&AdapterReport>) -> (f64, &'static str) {
    let [gpu, cpu] = CLAIMS;
    if adapter.is_some_and(|adapter| adapter.hardware) { (gpu, "a GPU") } else { (cpu, "a CPU") }
}
