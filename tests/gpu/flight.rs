//! Several frames in flight: the same faces as one by one, and errors instead of hangs.

use mtcmcn::cascade::DetectError;
use mtcmcn::doctor::noise_frame;
use mtcmcn::{Detections, Detector, Engine, EngineError, Frame};

use crate::engine;
use crate::faults::{detector, own_engine};

/// Creates different frames of noise, each shifted by some bytes.
pub fn frames(n: usize) -> Vec<Frame> {
    let first = noise_frame();
    let moved = |i: usize| {
        let mut rgba = first.rgba().to_vec();
        rgba.rotate_left(i * 52);
        Frame::from_rgba(first.width(), first.height(), rgba).expect("as many bytes as before")
    };
    (0..n).map(moved).collect()
}

pub fn one_by_one(detector: &mut Detector, frames: &[Frame]) -> Vec<Detections> {
    frames.iter().map(|frame| detector.detect(frame).expect("a result")).collect()
}

/// Checks that frames in flight and frames in a batch on `engine` give the same results as single frames.
fn check(engine: &Engine) {
    let frames = frames(8);
    let mut detector = detector(engine.clone());
    let want = one_by_one(&mut detector, &frames);
    assert!(want.iter().any(|found| found.faces != want[0].faces), "the frames should differ");
    assert!(want.iter().all(|found| !found.faces.is_empty()));
    let stream: Result<Vec<_>, _> = detector.detect_stream(&frames).collect();
    assert_eq!(stream.expect("results"), want, "{}", engine.name());
    for n in [0, 1, 3, 8] {
        assert_eq!(detector.detect_batch(&frames[..n]).expect("results"), want[..n], "a batch of {n} on {}", engine.name());
    }
    // Results are collected out of order, some are not collected at once, and some tickets are dropped.
    let mut tickets: Vec<_> = frames.iter().map(|frame| detector.submit(frame).expect("room for it")).collect();
    drop(tickets.remove(3));
    let mut left = want.clone();
    left.remove(3);
    while let Some(ticket) = tickets.pop() {
        assert_eq!(Some(detector.collect(ticket).expect("a result")), left.pop());
    }
}

#[test]
fn frames_in_flight_and_batches_equal_single_frames() {
    check(&engine());
    check(&Engine::cpu());
}

#[test]
fn frames_of_several_sizes_may_be_under_way() {
    let mut detector = detector(engine());
    let small = |frame: &Frame, height: u32| {
        let rgba = frame.rgba()[..(frame.width() * height * 4) as usize].to_vec();
        Frame::from_rgba(frame.width(), height, rgba).expect("whole rows")
    };
    let frames: Vec<Frame> = frames(8).iter().zip([0, 9, 20, 31].into_iter().cycle()).map(|(f, cut)| small(f, f.height() - cut)).collect();
    let want = one_by_one(&mut detector, &frames);
    let got: Vec<_> = detector.detect_stream(frames).map(|found| found.expect("a result")).collect();
    assert_eq!(got, want);
}

#[test]
fn a_ticket_of_another_detector_is_refused() {
    let mut detectors = [detector(engine()), detector(engine())];
    let ticket = detectors[0].submit(&noise_frame()).expect("room for it");
    assert!(matches!(detectors[1].collect(ticket), Err(DetectError::ForeignTicket)));
}

#[test]
fn a_device_lost_with_frames_in_flight_fails_each_of_them() {
    let engine = own_engine();
    let mut detector = detector(engine.clone());
    let frames = frames(3);
    one_by_one(&mut detector, &frames);
    let tickets: Vec<_> = frames.iter().map(|frame| detector.submit(frame).expect("the device is there")).collect();
    engine.gpu().expect("a GPU engine").destroy();
    for ticket in tickets {
        // Results that the device finished before it was lost may still arrive.
        match detector.collect(ticket) {
            Ok(found) => assert!(!found.faces.is_empty()),
            Err(error) => assert!(matches!(error, DetectError::Engine(EngineError::Lost { .. })), "{error}"),
        }
    }
    assert!(matches!(detector.detect(&frames[0]), Err(DetectError::Engine(EngineError::Lost { .. }))));
}

#[test]
fn a_frame_of_640_x_480_takes_at_most_32_dispatches() {
    let frame = Frame::from_rgba(640, 480, vec![0; 640 * 480 * 4]).expect("as many bytes as pixels");
    let session = detector(engine()).session(&frame).expect("a recording");
    let names: Vec<&str> = session.recording().steps().iter().map(|step| step.kernel.name()).collect();
    assert!(names.len() <= 32, "{} dispatches: {names:?}", names.len());
}
