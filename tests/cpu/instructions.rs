//! Every kernel's native body against its twin, at every sample, with every set of vector instructions that this machine has.

use mtcmcn::engine::compare::replay;
use mtcmcn::engine::{Engine, Simd};
use mtcmcn::for_each_kernel;
use mtcmcn::kernels::Samples;

fn check<K: Samples>(engines: &[Engine]) {
    let samples = K::samples();
    assert!(!samples.is_empty(), "{} has no samples", K::NAME);
    for (sample, engine) in samples.iter().flat_map(|sample| engines.iter().map(move |engine| (sample, engine))) {
        let (recording, presets) = sample.record();
        let mut session = engine.load(recording).unwrap();
        for (slot, data) in &presets {
            session.write(*slot, bytemuck::cast_slice(data));
        }
        let result = replay(&mut session).unwrap();
        assert_eq!(result.first, None, "{:?} on {}", sample.kernel, engine.name());
    }
}

/// Tests beside this one may run with a set that it chose; what they assert holds for all.
#[test]
fn every_kernel_matches_its_twin_with_every_instruction_set_and_on_any_number_of_threads() {
    let engines = [1, 3].map(|threads| Engine::cpu_with_threads(threads).unwrap());
    for simd in Simd::available() {
        simd.choose();
        assert!(engines[0].name().contains(&simd.to_string()), "{} does not run with {simd}", engines[0].name());
        macro_rules! run {
            ($kernel:ty) => {
                check::<$kernel>(&engines);
            };
        }
        for_each_kernel!(run);
    }
    Simd::best().choose();
}
