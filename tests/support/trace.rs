//! Comparison of a trace with the corresponding search, on one engine.

use mtcmcn::doctor::{noise_frame, noise_weights};
use mtcmcn::{Config, Detections, Detector, Engine, Frame};

/// Checks that the trace of a frame of noise agrees with its detections.
pub fn check(engine: Engine) {
    let mut config = Config::default();
    config.thresholds = [0.5, 0.4, 0.3];
    let mut detector = Detector::new(engine, &noise_weights(), config).expect("weights of noise fit");
    let frame = noise_frame();
    let found = detector.detect(&frame).expect("a frame is searched");
    let trace = detector.trace(&frame).expect("a frame is searched");
    assert_eq!(trace.detections, found);
    let counts = [
        trace.cells.len(),
        trace.cells.iter().filter(|cell| cell.kept).count(),
        trace.rnet.len(),
        trace.rnet.iter().filter(|judged| judged.passed).count(),
        trace.onet.len(),
        trace.onet.iter().filter(|judged| judged.passed).count(),
    ];
    let c = found.counts;
    assert_eq!(counts, [c.cells, c.level_nms, c.merged, c.rnet, c.rnet_nms, c.onet].map(|count| count as usize));
    assert!(counts.windows(2).any(|pair| pair[0] > pair[1]) && !found.faces.is_empty(), "{counts:?}");
    // Cells are ordered by level and row, so the maps must contain exactly these probabilities in this order.
    let maps = trace.heat.iter().enumerate().flat_map(|(level, map)| map.probabilities.iter().map(move |p| (level, *p)));
    let reached: Vec<_> = maps.inspect(|(_, p)| assert!((0.0..=1.0).contains(p), "{p}")).filter(|(_, p)| *p >= 0.5).collect();
    assert_eq!(trace.cells.iter().map(|cell| (cell.level, cell.score)).collect::<Vec<_>>(), reached);
    // A crop has the mean colour of its region.
    let all = trace.rnet.iter().chain(&trace.onet);
    let means: Vec<_> = all
        .filter_map(|judged| {
            let side = (judged.pixels.len() / 4).isqrt();
            Some((region_mean(&frame, judged.square, side)?, mean(&judged.pixels)))
        })
        .collect();
    assert!(means.len() > 5 && means.iter().all(|(want, got)| (want - got).abs() < 1.0), "{means:?}");
    assert!(trace.times.iter().map(|(_, time)| time.as_nanos()).sum::<u128>() > 0);

    let small = Frame::from_rgba(3, 500, vec![0; 6000]).expect("four bytes a pixel");
    assert_eq!(detector.trace(&small).expect("nothing to search").detections, Detections::default());
}

fn mean(rgba: &[u8]) -> f64 {
    let colours = rgba.iter().enumerate().filter(|(i, _)| i % 4 != 3);
    colours.map(|(_, value)| f64::from(*value)).sum::<f64>() / (rgba.len() / 4 * 3) as f64
}

/// Returns the mean inside `b`, if it lies in the frame and its crop of `side` pixels is not enlarged.
fn region_mean(frame: &Frame, b: mtcmcn::geometry::BoundingBox, side: usize) -> Option<f64> {
    let inside = b.x1 >= 0.0 && b.y1 >= 0.0 && b.x2 <= frame.width() as f32 && b.y2 <= frame.height() as f32 && b.width() >= side as f32;
    inside.then(|| {
        let (x1, x2) = (b.x1 as usize * 4, b.x2 as usize * 4);
        let rows = frame.rgba().chunks_exact(frame.width() as usize * 4);
        let rows = rows.skip(b.y1 as usize).take((b.y2 - b.y1) as usize);
        mean(&rows.flat_map(|row| row[x1..x2].iter().copied()).collect::<Vec<u8>>())
    })
}
