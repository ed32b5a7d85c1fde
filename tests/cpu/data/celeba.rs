//! The two lists of CelebA.

use std::path::Path;

use mtcmcn::data::Faults;
use mtcmcn::data::celeba::{join, parse_boxes, parse_landmarks};

use super::{assert_faults, clean, edges, lenient};

const BOXES: &str = "2\nimage_id x_1 y_1 width height\n000001.jpg    95  71 226 313\n000002.jpg    72  94 221 306\n";
const POINTS: &str = "2\nlefteye_x lefteye_y righteye_x righteye_y nose_x nose_y leftmouth_x leftmouth_y rightmouth_x rightmouth_y\n\
    000001.jpg 165  184  244  176  196  249  194  271  266  260\n000003.jpg 140  204  220  204  168  254  146  289  226  289\n";

#[test]
fn lists_are_read_and_joined() {
    let images = clean(BOXES, parse_boxes);
    assert_eq!(edges(images[0].faces[0].bounding_box), [95.0, 71.0, 321.0, 384.0]);
    let points = clean(POINTS, parse_landmarks);
    let mut faults = Faults::lenient();
    let joined = join(images, points, Path::new("l"), &mut faults).expect("lenient");
    assert_eq!(joined[0].faces[0].landmarks.expect("points")[2], glam::Vec2::new(196.0, 249.0));
    assert_eq!(joined[1].faces[0].landmarks, None);
    let named: Vec<String> = faults.list().iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect();
    assert_faults(&named, &[(0, "000002.jpg"), (4, "000003.jpg")]);
}

#[test]
fn faulty_lines_are_named() {
    let (images, faults) =
        lenient("9\nimage_id x y\na.jpg 1 2 0 0\na.jpg 1 2 3\nb.jpg 1 2 3 nan\nc.jpg 1 2 3 4\nc.jpg 1 2 3 4\n", parse_boxes);
    assert_eq!(images.len(), 1);
    assert_faults(&faults, &[(4, "3 number(s)"), (5, "NaN"), (7, "already"), (1, "9 image(s)"), (3, "no area")]);
    assert_faults(&lenient("a.jpg 1 2 3 4\n", parse_boxes).1, &[(1, "number of images")]);
    assert_faults(&lenient("", parse_landmarks).1, &[(0, "empty")]);
}
