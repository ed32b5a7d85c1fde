//! Lists of `CNN_FacePoint` and MTFL.

use glam::Vec2;
use mtcmcn::data::facepoint::{FacepointForm, parse};
use mtcmcn::data::{AnnotatedImage, DataError, FileFaults};

use super::{assert_faults, clean, edges, lenient};

fn facepoint(bytes: &[u8], faults: &mut FileFaults) -> Result<Vec<AnnotatedImage>, DataError> {
    parse(bytes, FacepointForm::CnnFacePoint, faults)
}

#[test]
fn boxes_and_points_are_read() {
    let text = "net\\a b.jpg 107 288 103 284 1 2 3 4 5 6 7 8 9 10\nnet/c.jpg 1 2 3 4 1 2 3 4 5 6 7 8 9 10.5\nnet/c.jpg 1 3 3 4 1 2 3 4 5 6 7 8 9 10\n";
    let images = clean(text, facepoint);
    assert_eq!(
        images.iter().map(|image| (&*image.path, image.faces.len(), image.line)).collect::<Vec<_>>(),
        [("net/a b.jpg", 1, 1), ("net/c.jpg", 2, 2)]
    );
    assert_eq!(edges(images[0].faces[0].bounding_box), [107.0, 103.0, 288.0, 284.0]);
    let points = images[1].faces[0].landmarks.expect("points");
    assert_eq!((points[0], points[4]), (Vec2::new(1.0, 2.0), Vec2::new(9.0, 10.5)));
}

#[test]
fn mtfl_has_all_x_first_and_a_box_about_the_points() {
    let text = "AFLW\\0001.jpg 10 30 20 12 28 40 41 50 60 60 1 2 2 3\n";
    let images = clean(text, |bytes, faults| parse(bytes, FacepointForm::Mtfl, faults));
    let face = images[0].faces[0];
    assert_eq!(face.landmarks.expect("points")[1], Vec2::new(30.0, 41.0));
    assert_eq!((&*images[0].path, edges(face.bounding_box)), ("AFLW/0001.jpg", [2.0, 32.0, 38.0, 68.0]));
}

#[test]
fn faulty_lines_are_named() {
    let text = "a.jpg 1 2 3 4 1 2 3 4 5 6 7 8 9\n1 2 3 4 1 2 3 4 5 6 7 8 9 10\na.jpg 2 1 3 4 1 2 3 4 5 6 7 8 9 10\na.jpg 1 2 3 4 1 2 inf 4 5 6 7 8 9 10\na.jpg 1 2 3 4 1 2 x 4 5 6 7 8 9 10\nb.jpg 1 2 3 4 1 2 3 4 5 6 7 8 9 10\nb.jpg 1 2 3 4 1 2 3 4 5 6 7 8 9 10\n";
    let (images, faults) = lenient(text, facepoint);
    assert_eq!(images.len(), 1);
    assert_faults(&faults, &[(1, "14 numbers"), (2, "14 numbers"), (3, "no area"), (4, "inf"), (5, "\"x\""), (7, "same face")]);
    assert_faults(
        &lenient("a 5 5 5 5 5 5 5 5 5 5 1 2 2 3", |bytes, faults| parse(bytes, FacepointForm::Mtfl, faults)).1,
        &[(1, "no area")],
    );
    assert_faults(&lenient("", facepoint).1, &[(0, "empty")]);
}
