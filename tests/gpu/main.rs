//! Tests that need an adapter, and fail without one.

#[path = "../support/backward.rs"]
mod backward;
mod faults;
mod flight;
#[path = "../support/golden.rs"]
mod golden;
#[path = "../support/graphs.rs"]
mod graphs;
#[path = "../support/heads.rs"]
mod heads;
mod kernels;
mod lent;
mod nets;
#[cfg(feature = "toolkit")]
#[path = "../support/onnx.rs"]
mod onnx_models;
mod profile;
mod program;
mod proposals;
#[path = "../support/rivals.rs"]
mod rivals;
#[path = "../support/trace.rs"]
mod trace;
#[cfg(feature = "toolkit")]
mod train_run;
mod training;
#[path = "../support/training.rs"]
mod training_golden;
#[cfg(feature = "toolkit")]
#[path = "../support/runs.rs"]
mod training_runs;

use std::sync::OnceLock;

use mtcmcn::{Device, Engine};

/// Returns the adapter under test: the one named by `MTCMCN_TEST_DEVICE`, otherwise a software adapter if
/// there is one, so that all machines agree.
fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let open = |name: &str| Engine::open(&name.parse().expect("any text names a device"));
    let choose = || match std::env::var("MTCMCN_TEST_DEVICE") {
        Ok(wanted) => open(&wanted).expect("MTCMCN_TEST_DEVICE names an adapter"),
        Err(_) => open("llvmpipe")
            .or_else(|_| Engine::open(&Device::Gpu))
            .expect("these tests need a GPU adapter; on Debian: apt-get install mesa-vulkan-drivers"),
    };
    let engine = ENGINE.get_or_init(choose).clone();
    assert!(engine.gpu().is_some(), "{} is no GPU adapter", engine.name());
    engine
}

#[test]
fn a_trace_tells_what_was_found() {
    trace::check(engine());
}
