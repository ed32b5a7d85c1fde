//! Training runs on the adapter under test: resumed runs, and a run whose device is lost.

use std::sync::atomic::AtomicBool;

use mtcmcn::train::run::{End, RunError};
use mtcmcn::{Device, Engine};

use crate::engine;
use crate::training_runs::{Crops, Scratch, resumed_equals_uninterrupted};

#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    resumed_equals_uninterrupted(&engine(), "pnet", &Crops::pnet(6), "net.schedule = { kind = 'cosine', warmup_steps = 3 }");
    let crops = Crops { side: 48, ..Crops::pnet(3) };
    resumed_equals_uninterrupted(&engine(), "onet", &crops, "");
}

#[test]
fn a_lost_device_ends_the_run_and_another_goes_on_from_the_last_checkpoint() {
    let report = engine().gpu().expect("a GPU engine").report().clone();
    let own = Engine::open(&Device::Named(report.to_string())).expect("what opened once opens again");
    let (scratch, crops, settings) = (Scratch::new(), Crops::pnet(4), "net.epochs = 2\nrun.log_steps = 5");
    let lose = |steps| {
        if steps == 13 {
            own.gpu().expect("a GPU engine").destroy();
        }
    };
    let error = scratch.watched(&own, "pnet", &crops, settings, &AtomicBool::new(false), lose).expect_err("the device is gone");
    let RunError::Learner { net, source } = &error else { panic!("{error:?}") };
    let cause = source.source().map_or_else(|| source.to_string(), ToString::to_string);
    assert!(net == "pnet" && cause.contains("GPU failed"), "{error}: {cause}");
    assert_eq!(scratch.newest().progress.step, 10);
    assert_eq!(scratch.train(&engine(), "pnet", &crops, settings, 0).expect("a new device"), End::Finished);
    assert_eq!(scratch.newest().progress.step, 20);
}
