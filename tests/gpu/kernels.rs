//! Every kernel against its twin, at every sample.

use mtcmcn::engine::compare::replay;
use mtcmcn::for_each_kernel;
use mtcmcn::kernels::Samples;

use crate::engine;

fn check<K: Samples>() {
    let samples = K::samples();
    assert!(!samples.is_empty(), "{} has no samples", K::NAME);
    for sample in samples {
        let (recording, presets) = sample.record();
        let mut session = engine().load(recording).expect("the sample loads");
        for (slot, data) in &presets {
            session.write(*slot, bytemuck::cast_slice(data));
        }
        let result = replay(&mut session).expect("the sample plays");
        assert_eq!(result.first, None, "{:?} on {}", sample.kernel, engine().name());
    }
}

#[test]
fn every_kernel_matches_its_twin() {
    macro_rules! run {
        ($kernel:ty) => {
            check::<$kernel>();
        };
    }
    for_each_kernel!(run);
}
