//! Figures of every protocol against `tests/fixtures/golden_eval.json`, which `tools/golden_eval.py` computes by a second implementation.

use glam::Vec2;
use mtcmcn::data::fddb::{Ellipse, Region, ScoredRegion};
use mtcmcn::data::{Annotation, Detection};
use mtcmcn::eval::boxes::{self, FacePart};
use mtcmcn::eval::curve::recall_at;
use mtcmcn::eval::verify::{Compared, accepts, accuracy, distance, roc};
use mtcmcn::eval::{aflw, fddb, wider};
use mtcmcn::geometry::{BoundingBox, Landmarks};
use serde_json::Value;

use crate::synthetic::{MadeUp, Sides, Stream, bounding_box, detections, faces, shifted};

/// Sums of some thousand ratios in another order: each of the 1,000 terms of an area rounds once.
const CLOSE: f64 = 1e-12;

fn golden() -> Value {
    serde_json::from_str(include_str!("../fixtures/golden_eval.json")).unwrap()
}

fn list(value: &Value) -> &[Value] {
    let list = value.as_array().unwrap();
    assert!(!list.is_empty(), "a golden list is empty");
    list
}

fn assert_close(got: f64, want: &Value, what: &str) {
    let want = want.as_f64().unwrap_or_else(|| panic!("{what}: no golden number"));
    let within = (got - want).abs() <= CLOSE;
    assert!(within, "{what}: {got}, golden {want}");
}

fn sides(images: &[Vec<MadeUp>]) -> Vec<Vec<Sides>> {
    images.iter().map(|image| image.iter().map(|face| face.sides).collect()).collect()
}

fn found(kind: &str, seed: u64, boxes: &[Vec<Sides>]) -> Vec<Vec<Detection>> {
    let mut stream = Stream(seed);
    boxes.iter().map(|boxes| detections(kind, &mut stream, boxes)).collect()
}

/// Average precision of one golden case of WIDER FACE.
fn wider_case(case: &Value, areas: &[Vec<BoundingBox>], counted: &[Vec<bool>], found: &[Vec<Detection>]) {
    let images: Vec<wider::WiderCase> =
        (0..areas.len()).map(|at| wider::WiderCase { faces: &areas[at], counted: &counted[at], detections: &found[at] }).collect();
    let range = wider::score_range(found.iter().map(Vec::as_slice));
    let rules = wider::Rules { rounded: case["rounded"].as_bool().unwrap(), ..wider::Rules::default() };
    let score = wider::score(&images, range, rules);
    assert_eq!(score.faces as u64, case["faces"].as_u64().unwrap());
    assert_close(score.average_precision, &case["ap"], &case.to_string());
}

#[test]
fn wider_face_on_made_up_detections() {
    let images = faces(&mut Stream(1));
    let areas: Vec<Vec<BoundingBox>> = images.iter().map(|image| image.iter().map(|face| face.face.bounding_box).collect()).collect();
    for case in list(&golden()["wider"]) {
        let level = ["easy", "medium", "hard"].iter().position(|name| case["setting"] == *name).unwrap() as i64;
        let counted: Vec<Vec<bool>> = images.iter().map(|image| image.iter().map(|face| face.easiness >= 3 - level).collect()).collect();
        wider_case(case, &areas, &counted, &found(case["kind"].as_str().unwrap(), 11, &sides(&images)));
    }
}

#[test]
fn boxes_by_size_and_occlusion_on_made_up_detections() {
    let images = faces(&mut Stream(1));
    let truth: Vec<Vec<Annotation>> = images.iter().map(|image| image.iter().map(|face| face.face).collect()).collect();
    for case in list(&golden()["boxes"]) {
        let found = found(case["kind"].as_str().unwrap(), 77, &sides(&images));
        let part = match case["part"].as_str().unwrap() {
            "all" => FacePart::All,
            "height 32 96" => FacePart::Height(32.0, 96.0),
            "occlusion 2" => FacePart::Occlusion(2),
            other => panic!("no part {other:?}"),
        };
        let images: Vec<boxes::BoxesCase> =
            truth.iter().zip(&found).map(|(faces, detections)| boxes::BoxesCase { faces, detections }).collect();
        let score = boxes::score(&images, part, 0.5);
        assert_eq!(score.faces as u64, case["faces"].as_u64().unwrap(), "{case}");
        assert_close(score.average_precision(), &case["ap_50"], &case.to_string());
        assert_close(boxes::score(&images, part, 0.3).average_precision(), &case["ap_30"], &case.to_string());
        assert_close(boxes::coco_average_precision(&images, part), &case["ap_coco"], &case.to_string());
        for (limit, want) in [0, 10, 100].into_iter().zip(list(&case["recall_at"])) {
            assert_close(recall_at(&score.tallies, limit, score.faces), want, &format!("recall at {limit} of {case}"));
        }
    }
}

fn fddb_image(stream: &mut Stream, size: Option<[u32; 2]>) -> fddb::FddbCase {
    let (mut faces, mut detections) = (Vec::new(), Vec::new());
    let rectangle = |sides, score: i64| ScoredRegion { region: Region::Rectangle(bounding_box(sides)), score: score as f64 / 64.0 };
    for _ in 0..stream.pick(5) {
        let (major, minor) = (80 + stream.pick(400), 80 + stream.pick(300));
        let (angle, x, y) = (stream.pick(3142), stream.pick(3200), stream.pick(2400));
        let eighth = |value: i64| value as f64 / 8.0;
        faces.push(Ellipse {
            major_radius: eighth(major),
            minor_radius: eighth(minor),
            angle: angle as f64 / 1000.0,
            x: eighth(x),
            y: eighth(y),
        });
        for _ in 0..stream.pick(3) {
            let sides = shifted(stream, [x - minor, y - major, 2 * minor, 2 * major]);
            detections.push(rectangle(sides, 1 + stream.pick(64)));
        }
    }
    for _ in 0..stream.pick(3) {
        let sides = [stream.pick(3400) - 200, stream.pick(2600) - 200, 64 + stream.pick(800), 64 + stream.pick(800)];
        detections.push(rectangle(sides, 1 + stream.pick(64)));
    }
    if !faces.is_empty() && stream.pick(2) > 0 {
        detections.push(ScoredRegion { region: Region::Ellipse(faces[0]), score: (1 + stream.pick(64)) as f64 / 64.0 });
    }
    fddb::FddbCase { size, faces, detections }
}

#[test]
fn fddb_on_made_up_regions() {
    let mut stream = Stream(5);
    let images: Vec<fddb::FddbCase> = (0..24).map(|number| fddb_image(&mut stream, (number % 2 == 1).then_some([400, 300]))).collect();
    let golden = &golden()["fddb"];
    let score = fddb::score(&images);
    assert_eq!(score.faces as u64, golden["faces"].as_u64().unwrap());
    let curve = list(&golden["curve"]);
    assert_eq!((score.discrete.len(), score.continuous.len()), (curve.len(), curve.len()));
    for ((want, discrete), continuous) in curve.iter().zip(&score.discrete).zip(&score.continuous) {
        assert_close(discrete.threshold, &want[0], "threshold");
        assert_close(discrete.rate, &want[1], "discrete rate");
        assert_close(continuous.rate, &want[2], "continuous rate");
        assert_close(discrete.false_positives, &want[3], "false positives");
    }
}

#[test]
fn five_landmarks_on_made_up_faces() {
    let mut stream = Stream(9);
    let mut compared = Vec::new();
    let everywhere = BoundingBox { x1: 0.0, y1: 0.0, x2: 100.0, y2: 100.0 };
    for _ in 0..50 {
        let mut truth: Landmarks = [Vec2::ZERO; 5];
        for point in &mut truth {
            *point = Vec2::new(stream.pick(800) as f32, stream.pick(800) as f32) / 8.0;
        }
        let face = Annotation { landmarks: Some(truth), ..Annotation::new(everywhere) };
        if stream.pick(8) == 0 {
            compared.push(aflw::compare(&face, &[], 0.5));
            continue;
        }
        let mut found = truth;
        for point in &mut found {
            *point += Vec2::new((stream.pick(33) - 16) as f32, (stream.pick(33) - 16) as f32) / 8.0;
        }
        let found = Detection { bounding_box: everywhere, score: 1.0, landmarks: Some(found) };
        compared.push(aflw::compare(&face, &[found], 0.5));
    }
    let (score, golden) = (aflw::score(&compared), &golden()["landmarks"]);
    assert_eq!((score.faces as u64, score.misses as u64), (golden["faces"].as_u64().unwrap(), golden["misses"].as_u64().unwrap()));
    for (got, name) in
        [(score.mean, "mean"), (score.standard_error, "standard_error"), (score.median, "median"), (score.failures, "failures")]
    {
        assert_close(got, &golden[name], name);
    }
    for (got, want) in score.by_landmark.into_iter().zip(list(&golden["by_landmark"])) {
        assert_close(got, want, "by landmark");
    }
}

/// Of length 1, in single precision.
fn unit(vector: &[i64]) -> Vec<f32> {
    let length = vector.iter().map(|value| (*value as f64).powi(2)).sum::<f64>().sqrt();
    vector.iter().map(|value| (*value as f64 / length) as f32).collect()
}

fn made_up_pairs() -> Vec<Compared> {
    let mut stream = Stream(21);
    let mut pairs = Vec::new();
    for fold in 0..10 {
        for place in 0..16 {
            let same = place < 8;
            let a: Vec<i64> = (0..8).map(|_| stream.pick(201) - 100).collect();
            let near = |value: i64| if same { value + stream.pick(181) - 90 } else { stream.pick(201) - 100 + value.div_euclid(4) };
            let b: Vec<i64> = a.iter().copied().map(near).collect();
            pairs.push(Compared { distance: distance(&unit(&a), &unit(&b)), same, fold });
        }
    }
    pairs
}

#[test]
fn verification_of_made_up_pairs() {
    let (pairs, golden) = (made_up_pairs(), &golden()["verification"]);
    assert_eq!(pairs.len() as u64, golden["pairs"].as_u64().unwrap());
    let found = accuracy(&pairs);
    assert_eq!(found.folds.len(), 10);
    for ((fold, threshold), want) in found.folds.iter().zip(list(&golden["thresholds"])).zip(list(&golden["accuracies"])) {
        assert_close(fold.threshold, threshold, "threshold");
        assert_close(fold.accuracy, want, "accuracy of a fold");
    }
    assert_close(found.mean, &golden["mean"], "mean accuracy");
    assert_close(found.deviation, &golden["deviation"], "deviation");
    for want in list(&golden["tar_at_far"]) {
        let found = accepts(&pairs, want["far"].as_f64().unwrap());
        assert_close(found.tar, &want["tar"], "TAR");
        assert_close(found.deviation, &want["deviation"], "deviation of TAR");
        assert_close(found.measured_far, &want["measured_far"], "measured FAR");
    }
    assert_close(roc(&pairs).1, &golden["area"], "area under the ROC");
}

#[test]
fn a_wrong_or_missing_golden_number_fails() {
    for want in [Value::from(0.5 + 1e-9), Value::Null] {
        assert!(std::panic::catch_unwind(|| assert_close(0.5, &want, "planted")).is_err());
    }
    assert!(std::panic::catch_unwind(|| assert_close(f64::NAN, &Value::from(0.5), "planted")).is_err());
}
