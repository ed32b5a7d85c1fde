//! Profiling on the adapter: checks that times exist and add up, not their length.

use std::time::Duration;

use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::engine::profile::Clock;
use mtcmcn::{Config, Detector, Device, Engine};

use crate::engine;

/// Creates an engine whose counters no other test changes.
fn alone() -> Engine {
    let name = engine().gpu().expect("a GPU engine").report().to_string();
    Engine::open(&Device::Named(name)).expect("it opened before")
}

fn detector(engine: Engine) -> Detector {
    Detector::new(engine, &noise_weights(), Config::default()).expect("weights of noise fit")
}

#[test]
fn a_profile_has_a_time_and_the_items_of_every_step() {
    let mut session = detector(alone()).session(&noise_frame()).expect("the frame loads");
    session.play().expect("it plays");
    let (profile, clock) = (session.profile().expect("it plays"), session.time_step(0, 3).expect("it plays").1);
    let steps = session.recording().steps();
    assert_eq!(profile.steps.len(), steps.len());
    assert_eq!(profile.clock, clock);
    let stamped = engine().gpu().expect("a GPU engine").report().features.iter().any(|feature| feature == "timestamp queries");
    assert_eq!(clock, if stamped { Clock::Device } else { Clock::Host });
    assert!(profile.steps.iter().map(|step| step.time).sum::<Duration>() > Duration::ZERO, "no step took any time");
    for (step, timed) in steps.iter().zip(&profile.steps) {
        let most = step.kernel.work().most();
        assert!(timed.items <= most, "{}: {} items of {most}", step.kernel.name(), timed.items);
        assert!(step.counted.is_some() || timed.items == most, "{}", step.kernel.name());
    }
    let mut counted = steps.iter().zip(&profile.steps).filter(|(step, _)| step.counted.is_some());
    assert!(counted.any(|(_, timed)| timed.items > 0), "noise has candidates, so some counted step has items");
}

#[test]
fn a_frame_is_one_submission_and_one_read_back() {
    let engine = alone();
    let mut detector = detector(engine.clone());
    let frame = noise_frame();
    detector.detect(&frame).expect("it plays");
    let steps = detector.session(&frame).expect("the frame loads").recording().steps().len() as u64;
    let before = engine.tally();
    detector.detect(&frame).expect("it plays");
    let tally = engine.tally() - before;
    assert_eq!((tally.dispatches, tally.submissions, tally.read_backs), (steps, 1, 1));
    assert_eq!(tally.bytes_up, u64::from(frame.width() * frame.height()) * 4);
    assert!(tally.bytes_down > 0);
}

#[test]
fn plays_without_read_back_are_counted_and_leave_the_result() {
    let engine = alone();
    let mut session = detector(engine.clone()).session(&noise_frame()).expect("the frame loads");
    let want = session.play().expect("it plays");
    let before = engine.tally();
    assert!(session.time_plays(3).expect("it plays") > Duration::ZERO);
    let tally = engine.tally() - before;
    assert_eq!((tally.submissions, tally.read_backs), (3, 0));
    for (slot, data) in want {
        let bits = |data: &[f32]| data.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&session.peek(slot).expect("it is there")), bits(&data));
    }
}
