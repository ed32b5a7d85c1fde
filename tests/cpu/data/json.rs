//! JSON lines of annotations and detections.

use mtcmcn::data::json::{annotation_line, detection_line, parse_annotations, parse_detections, refused_line};
use mtcmcn::data::{AnnotatedImage, Annotation, Attributes, Detection, ImageDetections};
use mtcmcn::geometry::{ALIGNED_112, BoundingBox};

use super::{assert_faults, clean, lenient};

const BOX: BoundingBox = BoundingBox { x1: 0.1, y1: -2.0, x2: 30.3, y2: 40.0 };

#[test]
fn annotations_come_back_as_they_were_written() {
    let plain = Annotation::new(BOX);
    let attributes = Attributes { blur: 2, occlusion: 1, invalid: true, ..Attributes::default() };
    let full = Annotation { landmarks: Some(ALIGNED_112), ignore: true, attributes, ..plain };
    let images = [
        AnnotatedImage { path: "a \"b\".jpg".into(), faces: vec![plain, full], line: 1 },
        AnnotatedImage { path: "c.jpg".into(), faces: vec![], line: 2 },
    ];
    let text: String = images.iter().map(annotation_line).collect();
    assert!(text.starts_with(r#"{"path":"a \"b\".jpg","faces":[{"box":[0.1,-2.0,30.3,40.0]},"#), "{text}");
    assert_eq!(clean(&text, parse_annotations), images);
}

#[test]
fn detections_come_back_as_they_were_written() {
    let ours = Detection::new(BOX, 0.9, ALIGNED_112);
    let theirs = Detection { bounding_box: BOX, score: 0.123_456_789_012_345_67, landmarks: None };
    let images = [
        ImageDetections { path: "a.jpg".into(), size: Some([640, 480]), faces: vec![ours, theirs], truncated: true, line: 1 },
        ImageDetections { path: "b.jpg".into(), line: 2, ..Default::default() },
    ];
    let text: String = images.iter().map(detection_line).collect();
    assert!(text.contains(r#""score":0.9,"#), "{text}");
    assert_eq!(clean(&text, parse_detections), images);
}

#[test]
fn faulty_records_are_named() {
    let text = concat!(
        "{\"path\":\"a\",\"faces\":[{\"box\":[0,0,1,1],\"score\":0.1},{\"box\":[0,0,0,1],\"score\":0.2},{\"box\":[0,0,2,2],\"score\":0.3}]}\n",
        "{\"path\":\"a\",\"faces\":[]}\n",
        "{\"path\":\"b\",\"faces\":[{\"box\":[0,0,1,1],\"score\":NaN}]}\n",
        "{\"path\":\"b\",\"faces\":[{\"box\":[0,0,1],\"score\":1}]}\n",
        "{\"path\":\"c\",\"error\":\"no such file\"}\n",
        "[1, 2]\n",
    );
    let (images, faults) = lenient(text, parse_detections);
    assert_eq!(images[0].faces.iter().map(|face| face.score).collect::<Vec<_>>(), [0.3, 0.1]);
    assert_faults(
        &faults,
        &[(1, "no area"), (1, "not sorted"), (2, "already"), (3, "detections"), (4, "length 3"), (5, "no such file"), (6, "detections")],
    );
    assert_faults(&lenient("{\"path\":\"a\",\"faces\":[{}]}\n{}\n", parse_annotations).1, &[(1, "no area"), (2, "path")]);
    assert_faults(&lenient(&refused_line("x", "why", &serde_json::Map::new()), parse_detections).1, &[(1, "why")]);
}
