//! Training on the engines of the host.

use mtcmcn::Engine;

use crate::{graphs, training_golden as golden};

#[test]
fn gradients_are_the_golden_ones() {
    golden::check_gradients(&Engine::twin());
    golden::check_gradients(&Engine::cpu());
}

#[test]
fn ten_steps_follow_the_golden_run() {
    golden::check_runs(&Engine::cpu());
}

#[test]
fn ten_steps_of_the_twin_follow_the_golden_run() {
    golden::check_runs(&Engine::twin());
}

#[test]
fn the_cpu_engine_does_every_step_as_the_twin() {
    golden::check_steps(&Engine::cpu());
}

#[test]
fn runs_are_bit_equal_however_often_they_stop() {
    golden::check_bits(&Engine::cpu());
}

#[test]
fn numbers_that_are_not_finite_stop_training() {
    golden::check_faults(&Engine::cpu());
}

#[test]
fn a_batch_that_lacks_a_task_trains_the_others() {
    golden::check_thin_batches(&Engine::cpu());
    golden::check_thin_batches(&Engine::twin());
}

#[test]
fn a_golden_number_that_is_missed_is_found() {
    for got in [1.001, f64::NAN] {
        assert!(std::panic::catch_unwind(|| crate::backward::close("x", got, 1.0)).is_err());
    }
}

#[test]
fn residual_units_are_the_golden_ones() {
    for engine in [Engine::twin(), Engine::cpu()] {
        graphs::check_units(&engine);
    }
}

#[test]
fn a_net_with_skips_shared_and_frozen_tensors_learns_in_micro_batches() {
    for engine in [Engine::twin(), Engine::cpu()] {
        graphs::check_made_up(&engine);
    }
}

#[test]
fn micro_batches_mine_what_the_whole_batch_does() {
    golden::check_micro_batches(&Engine::cpu());
}
