//! Training on the adapter under test.

use crate::{engine, graphs, training_golden as golden};

#[test]
fn residual_units_are_the_golden_ones() {
    graphs::check_units(&engine());
}

#[test]
fn a_net_with_skips_shared_and_frozen_tensors_learns_in_micro_batches() {
    graphs::check_made_up(&engine());
}

#[test]
fn micro_batches_mine_what_the_whole_batch_does() {
    golden::check_micro_batches(&engine());
}

#[test]
fn gradients_are_the_golden_ones() {
    golden::check_gradients(&engine());
}

#[test]
fn ten_steps_follow_the_golden_run() {
    golden::check_runs(&engine());
}

#[test]
fn every_step_is_as_the_twins() {
    golden::check_steps(&engine());
}

#[test]
fn runs_are_bit_equal_however_often_they_stop() {
    golden::check_bits(&engine());
}

#[test]
fn numbers_that_are_not_finite_stop_training() {
    golden::check_faults(&engine());
}

#[test]
fn a_batch_that_lacks_a_task_trains_the_others() {
    golden::check_thin_batches(&engine());
}

/// A step is one submission: the host writes, submits and goes on.
#[test]
fn a_lost_device_is_told() {
    use mtcmcn::train::TrainError;
    use mtcmcn::{Device, Engine, EngineError};

    let report = engine().gpu().expect("a GPU engine").report().clone();
    let own = Engine::open(&Device::Named(report.to_string())).expect("what opened once opens again");
    let net = golden::NETS[0];
    let mut trainer = golden::trainer(&own, net, 4, 0.0);
    trainer.step(&golden::batch(net, 4, 0), 1e-3).expect("the device is there");
    own.gpu().expect("a GPU engine").destroy();
    let lost = |error: TrainError| matches!(error, TrainError::Engine(EngineError::Lost { .. }));
    assert!(lost(trainer.step(&golden::batch(net, 4, 1), 1e-3).expect_err("the device is gone")));
    assert!(lost(trainer.reports().expect_err("the device is gone")));
}
