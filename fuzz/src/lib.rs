//! Every reader of `mtcmcn::data` by the name of its fuzz target, with what must hold of whatever it makes of
//! any bytes.
//!
//! A short run of each, over mutations of `seeds/`, is an ordinary test (`tests/cpu/fuzz.rs`). A long one,
//! with a nightly compiler:
//!
//! ```sh
//! cargo install cargo-fuzz
//! tools/fuzz.sh 120        # seconds for each target
//! ```

use std::path::Path;

use mtcmcn::data::facepoint::FacepointForm;
use mtcmcn::data::fddb::{Ellipse, Region};
use mtcmcn::data::pairs::{Pair, PairForm};
use mtcmcn::data::{
    AnnotatedImage, DataError, Detection, Faults, FileFaults, aflw, celeba, coco, embeddings, facepoint, fddb, json, labelme, pairs,
    points, retinaface, voc, wider, wider_mat, yolo,
};
use mtcmcn::geometry::{BoundingBox, Landmarks};

/// A fuzz target: its name, and what it does with bytes. It panics if something does not hold.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("aflw", |bytes| images(bytes, aflw::parse)),
    ("celeba", |bytes| {
        images(bytes, celeba::parse_boxes);
        read(bytes, celeba::parse_landmarks);
    }),
    ("coco", |bytes| images(bytes, coco::parse)),
    ("embeddings", |bytes| {
        if let Some(found) = read(bytes, embeddings::parse) {
            assert!(found.values.iter().all(|value| value.is_finite() && value.abs() <= 1.0 + f32::EPSILON));
            assert_eq!(found.values.len(), found.len() * found.dimension);
        }
    }),
    ("facepoint", |bytes| {
        images(bytes, |bytes, faults| facepoint::parse(bytes, FacepointForm::CnnFacePoint, faults));
        images(bytes, |bytes, faults| facepoint::parse(bytes, FacepointForm::Mtfl, faults));
    }),
    ("fddb", fddb_lists),
    ("insightface", |bytes| pair_list(bytes, PairForm::Insightface)),
    ("json", json_lines),
    ("labelme", |bytes| images(bytes, labelme::parse)),
    ("pairs", |bytes| [PairForm::Lfw, PairForm::AgeDb, PairForm::Calfw].into_iter().for_each(|form| pair_list(bytes, form))),
    ("points", |bytes| {
        images(bytes, |bytes, faults| {
            points::parse_pts(bytes, faults).map(|face| vec![AnnotatedImage { faces: vec![face], ..AnnotatedImage::default() }])
        });
        images(bytes, points::parse_wflw);
    }),
    ("retinaface", |bytes| images(bytes, retinaface::parse)),
    ("voc", |bytes| images(bytes, voc::parse)),
    ("wider", wider_text),
    ("wider_mat", |bytes| {
        // Faces without area keep their place in this format.
        for face in read(bytes, wider_mat::parse_images).into_iter().flatten().flat_map(|image| image.faces) {
            let BoundingBox { x1, y1, x2, y2 } = face.bounding_box;
            assert!([x1, y1, x2, y2].iter().all(|edge| edge.is_finite()), "{:?}", face.bounding_box);
        }
        let known = [AnnotatedImage { path: "e/a.jpg".into(), ..AnnotatedImage::default() }];
        read(bytes, |bytes, faults| wider_mat::parse_setting(bytes, &known, faults));
    }),
    ("wider_prediction", wider_prediction),
    ("yolo", |bytes| {
        for names in [&[][..], &["face".to_owned(), "person".to_owned()]] {
            images(bytes, |bytes, faults| {
                yolo::parse(bytes, [640, 480], names, faults).map(|faces| vec![AnnotatedImage { faces, ..AnnotatedImage::default() }])
            });
        }
    }),
];

/// Runs the target `name` on `bytes`.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.expect("a target of this name").1(bytes);
}

/// What `parse` makes of `bytes`; none if the whole is refused. Strict reading must stop exactly where
/// lenient reading names a fault.
fn read<T>(bytes: &[u8], parse: impl Fn(&[u8], &mut FileFaults) -> Result<T, DataError>) -> Option<T> {
    let path = Path::new("f");
    let mut faults = Faults::lenient();
    let found = parse(bytes, &mut faults.of(path));
    assert!(!matches!(found, Err(DataError::Fault(_))), "a fault stopped lenient reading");
    let strict = parse(bytes, &mut Faults::strict().of(path));
    match (faults.list().first(), strict) {
        (Some(first), Err(DataError::Fault(fault))) => assert_eq!(*first, fault),
        (None, strict) => assert_eq!(strict.is_ok(), found.is_ok()),
        // Refused as a whole before any fault was met, or never strict about this one.
        (Some(first), strict) => panic!("lenient reading says {first}, strict reading {:?}", strict.err()),
    }
    found.ok()
}

fn images(bytes: &[u8], parse: impl Fn(&[u8], &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError>) {
    for face in read(bytes, parse).into_iter().flatten().flat_map(|image| image.faces) {
        boxed(&face.bounding_box);
        pointed(face.landmarks.as_ref());
    }
}

fn boxed(b: &BoundingBox) {
    assert!([b.x1, b.y1, b.x2, b.y2].iter().all(|edge| edge.is_finite()) && b.width() > 0.0 && b.height() > 0.0, "{b:?}");
}

fn pointed(landmarks: Option<&Landmarks>) {
    assert!(landmarks.into_iter().flatten().all(|point| point.is_finite()));
}

fn scored(detections: &[Detection]) {
    for face in detections {
        boxed(&face.bounding_box);
        pointed(face.landmarks.as_ref());
        assert!(face.score.is_finite());
    }
    assert!(detections.is_sorted_by(|a, b| a.score >= b.score), "best first");
}

fn turned(ellipse: &Ellipse) {
    assert!(ellipse.major_radius > 0.0 && ellipse.minor_radius > 0.0);
    assert!([ellipse.major_radius, ellipse.minor_radius, ellipse.angle, ellipse.x, ellipse.y].iter().all(|value| value.is_finite()));
}

fn fddb_lists(bytes: &[u8]) {
    read(bytes, fddb::parse_ellipses).into_iter().flatten().flat_map(|image| image.faces).for_each(|ellipse| turned(&ellipse));
    for found in read(bytes, fddb::parse_detections).into_iter().flatten().flat_map(|image| image.faces) {
        assert!(found.score.is_finite());
        match found.region {
            Region::Rectangle(b) => boxed(&b),
            Region::Ellipse(ellipse) => turned(&ellipse),
        }
    }
    read(bytes, fddb::parse_names);
    read(bytes, fddb::parse_roc);
}

fn pair_list(bytes: &[u8], form: PairForm) {
    let found = read(bytes, |bytes, faults| pairs::parse(bytes, form, faults));
    let named = |pair: &Pair| pair.images.iter().all(|name| !name.is_empty());
    assert!(found.into_iter().flatten().all(|pair| named(&pair)));
}

/// What is read is also written, and read again as the same.
fn json_lines(bytes: &[u8]) {
    images(bytes, json::parse_annotations);
    for image in read(bytes, json::parse_detections).into_iter().flatten() {
        scored(&image.faces);
        let again = read(json::detection_line(&image).as_bytes(), json::parse_detections).expect("our own line");
        assert_eq!(again, [mtcmcn::data::ImageDetections { line: 1, ..image }]);
    }
}

fn wider_text(bytes: &[u8]) {
    images(bytes, wider::parse);
}

fn wider_prediction(bytes: &[u8]) {
    if let Some(Some(image)) = read(bytes, |bytes, faults| wider::parse_prediction("e/a", bytes, faults)) {
        scored(&image.faces);
    }
}
