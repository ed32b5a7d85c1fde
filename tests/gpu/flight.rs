//! Several frames in flight: the same faces as one by one, and errors instead of hangs.

use std::sync::mpsc::{channel, sync_channel};

use mtcmcn::cascade::{Capacity, DetectError};
use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::{Config, Detections, Detector, Engine, EngineError, Frame};

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

/// Creates a frame of `times x times` copies of `frame`.
fn tiled(frame: &Frame, times: u32) -> Frame {
    let row = frame.width() as usize * 4;
    let rows: Vec<u8> = frame.rgba().chunks(row).flat_map(|line| line.repeat(times as usize)).collect();
    Frame::from_rgba(frame.width() * times, frame.height() * times, rows.repeat(times as usize)).expect("as many bytes as pixels")
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
fn frames_that_arrive_are_searched_in_order_and_none_is_waited_for() {
    for engine in [engine(), Engine::cpu()] {
        let frames = frames(20);
        let mut detector = detector(engine);
        let want = one_by_one(&mut detector, &frames);
        // All at once.
        let (sender, receiver) = sync_channel(frames.len());
        frames.iter().for_each(|frame| sender.send(frame).expect("room for it"));
        drop(sender);
        let got: Vec<_> = detector.detect_arriving(receiver).map(|(frame, found)| (frame, found.expect("a result"))).collect();
        assert_eq!(got, frames.iter().zip(want.iter().cloned()).collect::<Vec<_>>());
        // Each only after the result of the one before: a search that waited for more frames would not end.
        let (sender, receiver) = channel();
        sender.send(&frames[0]).expect("the receiver is here");
        let (mut sender, mut next) = (Some(sender), 1);
        for (frame, found) in detector.detect_arriving(receiver) {
            assert_eq!((frame, &found.expect("a result")), (&frames[next - 1], &want[next - 1]));
            match frames.get(next).filter(|_| next < 5) {
                Some(frame) => sender.as_ref().expect("open").send(frame).expect("the receiver is here"),
                None => sender = None,
            }
            next += 1;
        }
        assert_eq!(next, 6);
    }
}

#[test]
fn frames_with_more_crops_than_a_recording_looks_at_are_searched_alone() {
    let mut config = Config::default();
    // O-Net sees 140 crops of each frame, and in a recording of eight frames 1,024 of all.
    config.thresholds = [0.0, 0.0, 0.3];
    config.capacity = Some(Capacity { candidates: 4096, rnet: 140, onet: 140 });
    let mut detector = Detector::new(engine(), &noise_weights(), config).expect("settings and weights are fine");
    let frames: Vec<Frame> = frames(8).iter().map(|frame| tiled(frame, 3)).collect();
    let want = one_by_one(&mut detector, &frames);
    let crops: u32 = want.iter().map(|found| found.counts.rnet_nms.min(140)).sum();
    assert!(crops > 1024, "{crops} crops fit a recording");
    assert_eq!(detector.detect_batch(&frames).expect("results"), want);
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
