//! Tests that need an adapter, and fail without one.

mod kernels;

use std::sync::OnceLock;

use mtcmcn::{Device, Engine};

/// The adapter under test: `MTCMCN_TEST_DEVICE`, else a software one, so that every machine agrees.
fn engine() -> Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let open = || {
        let wanted = std::env::var("MTCMCN_TEST_DEVICE").unwrap_or_else(|_| "llvmpipe".to_owned());
        Engine::open(&wanted.parse().expect("any text names a device"))
            .or_else(|_| Engine::open(&Device::Gpu))
            .expect("these tests need a GPU adapter; on Debian: apt-get install mesa-vulkan-drivers")
    };
    ENGINE.get_or_init(open).clone()
}
