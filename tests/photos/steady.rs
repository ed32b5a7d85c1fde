//! Long runs and large frames.

use mtcmcn::Frame;

use crate::{detector, photo};

/// Resident memory of this process, KiB (Linux).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The frame at `width x height`, each pixel the nearest of the original.
fn scaled(frame: &Frame, width: u32, height: u32) -> Frame {
    let pixel = |x: u32, y: u32| {
        let (x, y) = (x * frame.width() / width, y * frame.height() / height);
        let at = (y * frame.width() + x) as usize * 4;
        [0, 1, 2, 3].map(|c| frame.rgba()[at + c])
    };
    let rgba = (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(x, y))).collect();
    Frame::from_rgba(width, height, rgba).unwrap()
}

#[test]
fn five_hundred_detections_do_not_grow_the_process() {
    let frame = photo("photos/ivan.png");
    // Four sizes, so that buffers are dropped and made again all the time.
    let frames = [160, 130, 111, 150].map(|side| scaled(&frame, side, side));
    for name in ["cpu", "software"] {
        let mut detector = detector(name);
        let mut run = |n: usize| frames.iter().cycle().take(n).for_each(|frame| drop(detector.detect(frame).unwrap()));
        run(60);
        let before = resident();
        run(500);
        let after = resident();
        assert!(after * 100 <= before * 105, "{name}: {before} KiB before, {after} KiB after 500 detections");
    }
}

#[test]
fn two_plays_of_a_frame_give_the_same_bytes() {
    let frame = photo("photos/ivan.png");
    for name in ["cpu", "software"] {
        let mut detector = detector(name);
        let first = detector.detect(&frame).unwrap();
        assert_eq!(first, detector.detect(&frame).unwrap(), "{name}");
        assert_eq!(first.faces.len(), 2);
    }
}

#[test]
fn a_frame_of_4000_x_3000_is_searched_in_bands_with_the_same_faces_on_cpu_and_gpu() {
    let frame = scaled(&photo("frames/group_640x480.png"), 4000, 3000);
    let [cpu, gpu] = ["cpu", "software"].map(|name| detector(name).detect(&frame).unwrap());
    assert!(!cpu.faces.is_empty() && !cpu.truncated);
    assert_eq!(cpu.counts.cells, gpu.counts.cells);
    assert_eq!(cpu.faces.len(), gpu.faces.len());
    for (a, b) in cpu.faces.iter().zip(&gpu.faces) {
        assert!(a.bounding_box.iou(&b.bounding_box) > 0.99, "{a:?} {b:?}");
    }
}
