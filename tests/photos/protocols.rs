//! The protocols on their own files (`protocols/fddb` and `protocols/wider_face_split` of the data folder),
//! which need no photo.

use mtcmcn::data::{Detection, Faults, fddb, wider_mat};
use mtcmcn::eval::wider;
use mtcmcn::geometry::BoundingBox;
use serde_json::Value;

use crate::synthetic::{Sides, Stream, detections};
use crate::{data, mtcmcn};

/// What the official program printed for these very detections,
/// `[threshold, false positives, discrete, continuous]`, as published with them
/// (github.com/hualitlc/MTCNN-on-FDDB-Dataset, `FDDB-folds/tempDiscROC.txt` and `tempContROC-old.txt`). They
/// were cut at a score of 0.7, so the curve ends at 308 false positives.
const OFFICIAL: [[f64; 4]; 8] = [
    [0.995_005, 29.0, 0.844_711, 0.633_049],
    [0.984_221, 50.0, 0.878_167, 0.657_451],
    [0.962_149, 78.0, 0.896_538, 0.670_689],
    [0.939_020, 100.0, 0.901_760, 0.674_445],
    [0.881_325, 134.0, 0.911_816, 0.681_606],
    [0.786_039, 200.0, 0.918_004, 0.686_443],
    [0.715_235, 284.0, 0.921_485, 0.689_314],
    [0.700_254, 308.0, 0.921_679, 0.689_510],
];

/// There regions are cut off at the edges of the images, which are not here: a face at an edge overlaps a
/// little otherwise, and a few may fall on the other side of a half. Five of the 5,171 faces make this much.
const EDGES: (f64, f64) = (5.0, 0.001);

fn golden() -> Value {
    serde_json::from_str(include_str!("../fixtures/golden_eval.json")).unwrap()
}

#[test]
fn fddb_is_what_the_official_program_says_of_the_same_detections() {
    let folder = data().join("protocols/fddb");
    let out = std::env::temp_dir().join(format!("mtcmcn-fddb-{}", std::process::id()));
    let run = mtcmcn(
        &["eval", "fddb", "--json", "--detections"],
        &[folder.join("caffe_mtcnn_detections"), folder.clone(), "--official".into(), out.clone()],
    );
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let figures: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&figures["counts"]["images"], &figures["counts"]["faces"]), (&2845.into(), &5171.into()));
    assert!(figures["notes"].to_string().contains("regions were not cut off at their edges"), "{}", figures["notes"]);
    let curve = |name: &str| fddb::read_roc(&out.join(name), &mut Faults::strict()).unwrap();
    let (discrete, continuous) = (curve("DiscROC.txt"), curve("ContROC.txt"));
    std::fs::remove_dir_all(&out).unwrap();
    for [threshold, false_positives, found, overlap] in OFFICIAL {
        // Lowest threshold first; six digits are printed there.
        let at = |curve: &[fddb::RocPoint]| *curve.iter().find(|point| point.threshold >= threshold - 5e-7).unwrap();
        let (discrete, continuous) = (at(&discrete), at(&continuous));
        let within = (discrete.false_positives - false_positives).abs() <= EDGES.0
            && (discrete.rate - found).abs() <= EDGES.1
            && (continuous.rate - overlap).abs() <= EDGES.1;
        assert!(within, "{discrete:?}, {continuous:?}, official {false_positives}, {found}, {overlap}");
    }
    assert_eq!(discrete[0].false_positives, 308.0);
    for want in golden()["fddb_caffe"]["rates"].as_array().unwrap() {
        let at = |curve: &[fddb::RocPoint]| mtcmcn::eval::fddb::rate_at(curve, want["false_positives"].as_f64().unwrap()).unwrap().rate;
        for (got, want) in [(at(&discrete), &want["discrete"]), (at(&continuous), &want["continuous"])] {
            // Corners are kept in single precision here: one may round to the next pixel, which makes some
            // 1e-7 of the rate.
            let equal = (got - want.as_f64().unwrap()).abs() < 1e-6;
            assert!(equal, "{got} and not {want}");
        }
    }
}

#[test]
fn wider_face_validation_has_its_counts_and_the_other_implementation_s_precision() {
    let mut faults = Faults::lenient();
    let truth = wider_mat::read(&data().join("protocols/wider_face_split"), &mut faults).unwrap();
    let counts = truth.counted.each_ref().map(|setting| setting.iter().flatten().filter(|counted| **counted).count());
    assert_eq!(counts, [7211, 13319, 31958]);
    let areas: Vec<Vec<BoundingBox>> =
        truth.images.iter().map(|image| image.faces.iter().map(|face| face.bounding_box).collect()).collect();
    let eighths = |b: &BoundingBox| -> Sides { [b.x1, b.y1, b.x2 - b.x1, b.y2 - b.y1].map(|side| side as i64 * 8) };
    let golden = golden();
    let mut cases = 0;
    for kind in ["truth", "shifted", "doubled", "random"] {
        let mut stream = Stream(11);
        let found: Vec<Vec<Detection>> =
            areas.iter().map(|areas| detections(kind, &mut stream, &areas.iter().map(eighths).collect::<Vec<_>>())).collect();
        let range = wider::score_range(found.iter().map(Vec::as_slice));
        for case in golden["wider_validation"].as_array().unwrap().iter().filter(|case| case["kind"] == kind) {
            let setting = wider_mat::SETTINGS.iter().position(|name| case["setting"] == *name).unwrap();
            let images: Vec<wider::WiderCase> = (0..areas.len())
                .map(|at| wider::WiderCase { faces: &areas[at], counted: &truth.counted[setting][at], detections: &found[at] })
                .collect();
            let rules = wider::Rules { rounded: case["rounded"].as_bool().unwrap(), ..wider::Rules::default() };
            let score = wider::score(&images, range, rules);
            assert_eq!(score.faces as u64, case["faces"].as_u64().unwrap());
            let equal = (score.average_precision - case["ap"].as_f64().unwrap()).abs() < 1e-9;
            assert!(equal, "{} and not {case}", score.average_precision);
            cases += 1;
        }
    }
    assert_eq!(cases, 24);
}
