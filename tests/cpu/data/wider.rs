//! WIDER FACE's text format and folders of predictions.

use std::fs;

use mtcmcn::data::wider::{parse, parse_prediction, prediction_text, read_predictions, to_text, write_predictions};
use mtcmcn::data::{DataError, Detection, Faults, ImageDetections};
use mtcmcn::files::FileError;
use mtcmcn::geometry::BoundingBox;

use super::{assert_faults, clean, edges, lenient};

const GOOD: &str =
    "0--Parade/a b.jpg\n2\n345 211 4 4 2 0 0 0 2 0 \n-3 126 3 3.5 1 1 1 1 1 1 \nscenes/12.jpg\n0\n0 0 0 0 0 0 0 0 0 0\nc.jpg\n1\n1 2 3 4\n";

#[test]
fn annotations_are_read() {
    let images = clean(GOOD, parse);
    assert_eq!(
        images.iter().map(|image| (&*image.path, image.faces.len(), image.line)).collect::<Vec<_>>(),
        [("0--Parade/a b.jpg", 2, 1), ("scenes/12.jpg", 0, 5), ("c.jpg", 1, 8)]
    );
    let [first, second] = images[0].faces[..] else { panic!("two faces") };
    assert_eq!(edges(first.bounding_box), [345.0, 211.0, 349.0, 215.0]);
    assert_eq!((first.attributes.blur, first.attributes.occlusion, first.ignore), (2, 2, false));
    assert_eq!(edges(second.bounding_box), [-3.0, 126.0, 0.0, 129.5]);
    assert!(second.ignore && second.attributes.invalid);
}

#[test]
fn annotations_come_back_as_they_were_written() {
    let images = clean(GOOD, parse);
    let again = clean(&to_text(&images), parse);
    assert_eq!(images.iter().map(|image| &image.faces).collect::<Vec<_>>(), again.iter().map(|image| &image.faces).collect::<Vec<_>>());
}

#[test]
fn faulty_faces_are_named_and_skipped() {
    let text = "a.jpg\n7\n1 2 0 4\n1 2 3 -4\n1 2 NaN 4\n1 2 3 4 5\n1 2 3 4 0 0 0 0 0.5 0\n1e9 2 3 4\n1 2 3 4\n";
    let (images, faults) = lenient(text, parse);
    assert_eq!(images[0].faces.len(), 1);
    let expected =
        [(3, "no area"), (4, "no area"), (5, "NaN"), (6, "5 numbers"), (7, "0.5"), (8, "1000000000")].map(|(line, words)| (line, words));
    assert_faults(&faults, &expected);
}

#[test]
fn a_wrong_count_costs_that_image_only() {
    for (rows, there) in [(1, "1 row"), (3, "3 row")] {
        let text = format!("a.jpg\n2\n{}b.jpg\n1\n5 6 7 8\n", "1 2 3 4\n".repeat(rows));
        let (images, faults) = lenient(&text, parse);
        assert_eq!(images.iter().map(|image| &*image.path).collect::<Vec<_>>(), ["b.jpg"]);
        assert_faults(&faults, &[(2, there)]);
    }
}

#[test]
fn structure_that_is_broken_is_named_line_by_line() {
    let (images, faults) = lenient("1 2 3 4\n1 2 3 4\na.jpg\n1\n1 2 3 4\n", parse);
    assert_eq!(images.len(), 1);
    assert_faults(&faults, &[(1, "2 row(s) skipped")]);

    let (images, faults) = lenient("a.jpg\nb.jpg\n1\n1 2 3 4\n", parse);
    assert_eq!(images[0].path, "b.jpg");
    assert_faults(&faults, &[(2, "not the number of faces")]);

    let (images, faults) = lenient("a.jpg\n1 2 3 4\n1 2 3 4\nb.jpg\n-1\nc.jpg\n99999999999999999999\nd.jpg\n1\n1 2 3 4\ne.jpg", parse);
    assert_eq!(images.iter().map(|image| &*image.path).collect::<Vec<_>>(), ["d.jpg"]);
    assert_faults(
        &faults,
        &[
            (2, "not the number"),
            (5, "\"-1\""),
            (6, "not the number of faces of \"-1\""),
            (7, "9999"),
            (8, "not the number"),
            (11, "ends after"),
        ],
    );
}

#[test]
fn a_second_mention_is_skipped() {
    let (images, faults) = lenient("a.jpg\n1\n1 2 3 4\na.jpg\n0\n", parse);
    assert_eq!((images.len(), images[0].faces.len()), (1, 1));
    assert_faults(&faults, &[(4, "already at line 1")]);
}

#[test]
fn an_empty_file_and_a_line_that_is_not_text_are_named() {
    assert_faults(&lenient("", parse).1, &[(0, "empty")]);
    assert_faults(&lenient("\n\n", parse).1, &[(0, "empty")]);
    let mut faults = Faults::lenient();
    let images = parse(b"a\xff.jpg\nb.jpg\n0\n", &mut faults.of("f".as_ref())).expect("lenient");
    assert_eq!((images.len(), faults.list()[0].line), (1, 1));
}

fn detection(score: f64) -> Detection {
    let bounding_box = BoundingBox { x1: 1.5, y1: -2.25, x2: 30.125, y2: 40.0 };
    Detection { bounding_box, score, landmarks: None }
}

#[test]
fn predictions_come_back_as_they_were_written() {
    let root = std::env::temp_dir().join(format!("mtcmcn-wider-{}", std::process::id()));
    let faces = vec![detection(0.999_680_757_523), detection(0.25)];
    let image = |path: &str, faces: &[Detection]| ImageDetections { path: path.into(), faces: faces.into(), line: 1, ..Default::default() };
    write_predictions(&root, &[image("/photos/0--Parade/b.jpg", &faces), image("0--Parade/a.jpg", &[])]).expect("a writable place");
    let mut faults = Faults::strict();
    let found = read_predictions(&root, &mut faults).expect("what was written");
    assert_eq!(found, [image("0--Parade/a", &[]), image("0--Parade/b", &faces)]);

    fs::write(root.join("stray.txt"), "x").expect("writable");
    fs::write(root.join("0--Parade/stray.jpg"), "x").expect("writable");
    let mut faults = Faults::lenient();
    assert_eq!(read_predictions(&root, &mut faults).expect("lenient").len(), 2);
    let named: Vec<_> = faults.list().iter().map(|fault| fault.path.strip_prefix(&root).expect("below root").to_owned()).collect();
    assert_eq!(named, ["0--Parade/stray.jpg", "stray.txt"].map(std::path::PathBuf::from));
    fs::remove_dir_all(&root).expect("ours");

    assert!(matches!(read_predictions(&root, &mut Faults::lenient()), Err(DataError::File(FileError::Read { .. }))));
    assert!(matches!(write_predictions(&root, &[image("a.jpg", &[])]), Err(DataError::Unusable { .. })));
}

#[test]
fn faulty_predictions_are_named() {
    let parse = |bytes: &[u8], faults: &mut mtcmcn::data::FileFaults| parse_prediction("e/a", bytes, faults);
    let (found, faults) = lenient("a.jpg\n4\n1 2 3 4 0.5\n1 2 3 -4 0.4\n1 2 3 4 nan\n1 2 3 4 0.6\n", parse);
    assert_eq!(found.expect("an image").faces.iter().map(|face| face.score).collect::<Vec<_>>(), [0.6, 0.5]);
    assert_faults(&faults, &[(4, "no area"), (5, "NaN"), (1, "not sorted")]);

    let (found, faults) = lenient("b\n0\n", parse);
    assert!(found.is_some_and(|image| image.path == "e/a"));
    assert_faults(&faults, &[(1, "\"b\"")]);

    let (found, faults) = lenient("a\n2\n1 2 3 4 0.5\n", parse);
    assert_eq!(found, None);
    assert_faults(&faults, &[(2, "2 face(s) promised")]);

    let text = prediction_text("a", &[detection(0.5)]) + &prediction_text("a", &[]);
    assert_faults(&lenient(&text, parse).1, &[(4, "second image")]);
    assert_faults(&lenient("", parse).1, &[(0, "empty")]);
}
