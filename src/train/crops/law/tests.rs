use glam::Vec2;

use super::*;
use crate::train::config::TrainConfig;

const ALL: Uses = Uses { negatives: true, faces: true, landmarks: true };

fn face(x: f32, y: f32, width: f32, height: f32) -> Annotation {
    let points = [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)].map(|(u, v)| Vec2::new(x + u * width, y + v * height));
    let bounding_box = BoundingBox { x1: x, y1: y, x2: x + width, y2: y + height };
    Annotation { landmarks: Some(points), ..Annotation::new(bounding_box) }
}

fn check(faces: &[Annotation], uses: Uses, of: impl Fn(&Scene<'_>, &CropConfig)) {
    let law = TrainConfig::default().data.crops;
    of(&Scene { size: [300, 200], faces, uses, law: &law, least: 12 }, &law);
}

fn count(cuts: &[Cut], sample: SampleKind) -> usize {
    cuts.iter().filter(|cut| cut.sample == sample).count()
}

/// A square of side 100 at the origin overlaps one shifted by 100 (1 - s) / (1 + s) to the side by s.
#[test]
fn classes_by_overlap_are_those_of_the_spec() {
    let face = face(0.0, 0.0, 100.0, 100.0);
    check(&[face], ALL, |scene, _| {
        for (shift, want) in [
            (0, Some(SampleKind::Positive)),
            (21, Some(SampleKind::Positive)), // 79 / 121 = 0.6529
            (22, Some(SampleKind::Part)),     // 78 / 122 = 0.6393
            (42, Some(SampleKind::Part)),     // 58 / 142 = 0.4085
            (43, None),                       // 57 / 143 = 0.3986
            (53, None),                       // 47 / 153 = 0.3072
            (54, Some(SampleKind::Negative)), // 46 / 154 = 0.2987
            (150, Some(SampleKind::Negative)),
        ] {
            let found = BoundingBox { x1: shift as f32, y1: 0.0, x2: (shift + 100) as f32, y2: 100.0 };
            let cuts = scene.detected([found].iter());
            let got = cuts.iter().map(|cut| cut.sample).find(|sample| *sample != SampleKind::Landmarks);
            assert_eq!(got, want, "shift {shift}");
            assert_eq!(count(&cuts, SampleKind::Landmarks), usize::from(want == Some(SampleKind::Positive)), "shift {shift}");
            let box_targets = CropWindow { x: shift, y: 0, side: 100 }.box_targets(&face.bounding_box);
            for cut in cuts.iter().filter(|cut| [SampleKind::Positive, SampleKind::Part].contains(&cut.sample)) {
                assert_eq!(cut.targets.values[..4], box_targets);
            }
        }
    });
}

#[test]
fn the_limits_belong_to_the_class_above() {
    check(&[], ALL, |scene, _| {
        for (overlap, want) in
            [(0.65, Some(SampleKind::Positive)), (0.649_999, Some(SampleKind::Part)), (0.4, Some(SampleKind::Part)), (0.399_999, None)]
        {
            assert_eq!(scene.of_face(overlap), want, "{overlap}");
        }
        // 39 x 35 of 45 x 45 and 40 x 36: 1365 / 2100 is 0.65, which single precision does not know.
        let face = face(200.0, 100.0, 40.0, 36.0).bounding_box;
        assert_eq!(overlap(&CropWindow { x: 201, y: 90, side: 45 }.bounding_box(), &face), 0.65);
    });
}

#[test]
fn random_windows_keep_the_law() {
    let faces = [face(40.0, 30.0, 60.0, 70.0), face(200.0, 100.0, 40.0, 36.0)];
    check(&faces, ALL, |scene, law| {
        let (mut all, mut sides) = (Vec::new(), Vec::new());
        for seed in 0..50 {
            let cuts = scene.random(&mut Draw::new(&[seed]));
            assert!(
                count(&cuts, SampleKind::Negative) >= law.negatives_per_image as usize,
                "an image with room has all of its random negatives"
            );
            assert!(cuts.len() <= 50 + 2 * (5 + 20));
            all.extend(cuts);
        }
        for cut in &all {
            assert!(cut.window.is_inside(scene.size), "{cut:?}");
            let overlaps = faces.each_ref().map(|face| overlap(&cut.window.bounding_box(), &face.bounding_box));
            let most = overlaps[0].max(overlaps[1]);
            match cut.sample {
                SampleKind::Negative => assert!(most < 0.3 && (12..100).contains(&cut.window.side), "{cut:?}"),
                SampleKind::Positive => assert!(most >= 0.65, "{cut:?}"),
                SampleKind::Part => assert!((0.4..0.65).contains(&most), "{cut:?}"),
                SampleKind::Landmarks => panic!("{cut:?}"),
            }
            if cut.sample != SampleKind::Negative {
                assert_eq!(cut.targets.tasks & 2, 2);
                sides.push(cut.window.side);
            }
        }
        // Sides are whole, from floor(0.8 * 60) to below ceil(1.25 * 70), and from floor(0.8 * 36) to below 50.
        assert!(sides.iter().all(|side| (48..88).contains(side) || (28..50).contains(side)));
        assert!(sides.iter().any(|side| *side > 70) && sides.iter().any(|side| *side < 34));
        assert!(count(&all, SampleKind::Positive) > 200 && count(&all, SampleKind::Part) > 200);
    });
}

#[test]
fn faces_that_are_small_invalid_or_begin_outside_give_nothing_but_no_negative_lies_on_them() {
    let large = Annotation { ignore: true, ..face(20.0, 20.0, 150.0, 150.0) };
    let faces = [large, face(-5.0, 100.0, 60.0, 60.0), face(250.0, 20.0, 19.0, 19.0), face(900.0, 900.0, 50.0, 50.0)];
    check(&faces, ALL, |scene, _| {
        for seed in 0..20 {
            let mut draw = Draw::new(&[seed]);
            let cuts = scene.random(&mut draw);
            assert_eq!(count(&cuts, SampleKind::Negative), cuts.len());
            assert!(cuts.iter().all(|cut| faces.iter().all(|face| cut.window.bounding_box().iou(&face.bounding_box) < 0.3)));
            assert!(scene.landmark_faces(&mut draw).is_empty());
        }
        assert!(scene.detected(faces.iter().map(|face| &face.bounding_box)).is_empty());
    });
}

#[test]
fn an_image_that_is_all_face_ends() {
    check(&[face(0.0, 0.0, 300.0, 200.0)], ALL, |scene, law| {
        let law = CropConfig { overlaps: [0.1, 0.4, 0.65], ..law.clone() };
        let whole = Scene { size: [30, 30], faces: &[face(0.0, 0.0, 30.0, 30.0)], law: &law, ..*scene };
        assert_eq!(count(&whole.random(&mut Draw::new(&[1])), SampleKind::Negative), 0);
        let tiny = Scene { size: [5, 400], ..*scene };
        assert_eq!(count(&tiny.random(&mut Draw::new(&[1])), SampleKind::Negative), 0);
    });
}

#[test]
fn detections_are_rounded_and_those_small_or_outside_are_left_out() {
    check(&[], ALL, |scene, law| {
        let found = |x1: f32, y1: f32, side: f32| BoundingBox { x1, y1, x2: x1 + side, y2: y1 + side };
        let cuts = scene.detected([found(10.4, 20.6, 30.2), found(-1.0, 5.0, 40.0), found(270.0, 5.0, 40.0), found(5.0, 5.0, 19.0)].iter());
        assert_eq!(cuts.iter().map(|cut| cut.window).collect::<Vec<_>>(), [CropWindow { x: 11, y: 21, side: 30 }]);
        let many: Vec<BoundingBox> = (0..200).map(|i| found((i % 20) as f32, (i / 20) as f32, 50.0)).collect();
        let cuts = scene.detected(many.iter());
        assert_eq!(cuts.len(), law.detected_negatives_per_image as usize);
        assert_eq!(cuts[59].window, CropWindow::around(&many[59]), "the best come first");
    });
}

#[test]
fn landmark_faces_are_the_face_and_windows_around_it_some_turned() {
    let faces = [face(80.0, 60.0, 60.0, 60.0), face(200.0, 100.0, 30.0, 30.0)];
    check(&faces, ALL, |scene, law| {
        let mut turned = 0;
        for seed in 0..40 {
            let cuts = scene.landmark_faces(&mut Draw::new(&[seed]));
            assert_eq!((cuts[0].window, cuts[0].turn), (CropWindow { x: 80, y: 60, side: 60 }, 0.0));
            assert_eq!(cuts.last().unwrap().window, CropWindow { x: 200, y: 100, side: 30 }, "one under 40 px has no more");
            assert!(cuts.len() <= 12 && cuts.iter().all(|cut| cut.sample == SampleKind::Landmarks && cut.targets.tasks == 4));
            for cut in &cuts {
                assert!(f64::from(cut.turn.abs()) <= law.rotation_degrees.to_radians());
                assert!(cut.targets.values[4..].iter().all(|value| *value > 0.0 && *value < 1.0));
                turned += usize::from(cut.turn != 0.0);
            }
        }
        assert!(turned > 40, "{turned}");
    });
}

#[test]
fn points_turn_with_the_image() {
    let law = CropConfig { rotation_degrees: 45.0, ..TrainConfig::default().data.crops };
    let faces = [face(80.0, 60.0, 60.0, 60.0)];
    let scene = Scene { size: [300, 200], faces: &faces, uses: ALL, law: &law, least: 12 };
    let cuts: Vec<Cut> = (0..40).flat_map(|seed| scene.landmark_faces(&mut Draw::new(&[seed]))).filter(|cut| cut.turn > 0.3).collect();
    assert!(cuts.len() > 5);
    for cut in cuts {
        // The right eye, right and above the middle, comes down when it turns clockwise.
        let [left, right] = [cut.targets.values[9], cut.targets.values[10]];
        let want = 24.0 / cut.window.side as f32 * cut.turn.sin();
        assert!((right - left - want).abs() < 1e-4, "{cut:?}");
    }
}

#[test]
fn a_source_is_used_for_what_it_is_good_for_alone() {
    let faces = [face(80.0, 60.0, 60.0, 60.0)];
    let found = [faces[0].bounding_box, BoundingBox { x1: 200.0, y1: 100.0, x2: 240.0, y2: 140.0 }];
    let law = TrainConfig::default().data.crops;
    let kinds = |uses: Uses| {
        let scene = Scene { size: [300, 200], faces: &faces, uses, law: &law, least: 12 };
        let mut draw = Draw::new(&[1]);
        let cuts = [scene.random(&mut draw), scene.landmark_faces(&mut draw), scene.detected(found.iter())].concat();
        SampleKind::ALL.map(|sample| count(&cuts, sample) > 0)
    };
    assert_eq!(kinds(ALL), [true; 4]);
    assert_eq!(kinds(Uses { negatives: true, faces: false, landmarks: false }), [true, false, false, false]);
    assert_eq!(kinds(Uses { negatives: false, faces: true, landmarks: false }), [false, true, true, false]);
    assert_eq!(kinds(Uses { negatives: false, faces: false, landmarks: true }), [false, false, false, true]);
}
