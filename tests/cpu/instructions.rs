//! Every kernel's native implementation against its twin, at every sample, with every set of vector
//! instructions of this machine.

use mtcmcn::engine::compare::{first_difference, replay};
use mtcmcn::engine::{Engine, Simd};
use mtcmcn::for_each_kernel;
use mtcmcn::kernels::Samples;
use mtcmcn::kernels::nn::Prelu;
use mtcmcn::record::Recording;
use mtcmcn::tensor::{Shape, noise};

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

/// Tests that run concurrently may use the instruction set chosen here; their assertions hold for all sets.
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

#[test]
fn what_one_step_reads_for_all_items_another_may_write_item_by_item() {
    let shape = Shape::new([9, 3, 2, 2]).unwrap();
    let play = |engine: Engine| {
        let mut recording = Recording::new();
        let slots = ["x", "slope", "between", "other slope"].map(|label| recording.slot(label, shape.elements() as usize));
        let [x, slope, between, other] = slots;
        recording.push(Prelu::new(&shape), &[x, slope, between]);
        recording.push(Prelu::new(&shape), &[between, other, slope]);
        let mut session = engine.load(recording).unwrap();
        (1..).zip(slots).for_each(|(seed, slot)| session.write(slot, bytemuck::cast_slice(&noise(shape.elements() as usize, seed))));
        session.play().unwrap();
        session.peek(slope).unwrap()
    };
    let (got, want) = (play(Engine::cpu_with_threads(3).unwrap()), play(Engine::twin()));
    assert_eq!(first_difference(&got, &want, 4.0 * f32::EPSILON), None);
}
