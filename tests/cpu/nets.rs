//! The nets on the engines of the host against golden numbers.

use mtcmcn::Engine;

use crate::golden;

#[test]
fn twin_gives_the_golden_outputs() {
    golden::check(&Engine::twin());
}

#[test]
fn cpu_engine_gives_the_golden_outputs() {
    golden::check(&Engine::cpu());
}
