//! AFLW's database. The fixture was written by the `sqlite3` program; see `tools/aflw_fixture.py`.

use glam::Vec2;
use mtcmcn::data::aflw::parse;
use mtcmcn::data::{DataError, Faults};

use super::edges;

const DATABASE: &[u8] = include_bytes!("../../fixtures/aflw.sqlite");

#[test]
fn faces_are_read() {
    let mut faults = Faults::lenient();
    let images = parse(DATABASE, &mut faults.of("aflw.sqlite".as_ref())).expect("a good database");
    // There are 60 plain faces in 60 images, so that tables are trees of several pages; one path overflows
    // its page; and three faces are faulty.
    assert_eq!(images.len(), 62);
    assert!(images.iter().any(|image| image.path.len() > 1000));
    let image = images.iter().find(|image| image.path == "3/image00007.jpg").expect("it is there");
    let face = image.faces[0];
    assert_eq!(edges(face.bounding_box), [7.0, 17.0, 107.0, 137.0]);
    assert_eq!(face.landmarks.expect("points"), [8.0, 11.0, 15.0, 18.0, 20.0].map(|id| Vec2::new(7.0 + id, 17.5 + id)));
    let without = images.iter().find(|image| image.path == "3/hidden.jpg").expect("it is there");
    assert_eq!(without.faces.iter().map(|face| face.landmarks).collect::<Vec<_>>(), [None]);
    let faults: Vec<_> = faults.list().iter().map(|fault| &*fault.what).collect();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for (fault, words) in faults.iter().zip(["face 902", "face 903", "face 904"]) {
        assert!(fault.starts_with(words), "{fault}");
    }
    assert!(faults[0].contains("FaceImages") && faults[1].contains("no area") && faults[2].contains("FaceRect"), "{faults:?}");
    assert!(matches!(parse(DATABASE, &mut Faults::strict().of("f".as_ref())), Err(DataError::Fault(_))));
}

#[test]
fn other_and_damaged_files_are_refused() {
    let refused = |bytes: &[u8]| match parse(bytes, &mut Faults::lenient().of("f.sqlite".as_ref())) {
        Err(error @ DataError::Unusable { .. }) => error.to_string(),
        Err(other) => panic!("{other}"),
        Ok(images) => panic!("{} images", images.len()),
    };
    assert!(refused(b"").contains("not an SQLite 3 database"));
    let mut wal = DATABASE.to_vec();
    wal[18] = 2;
    assert!(refused(&wal).contains("journal_mode"));
    let mut utf16 = DATABASE.to_vec();
    utf16[59] = 2;
    assert!(refused(&utf16).contains("UTF-8"));
    // The type of the schema's root page is set to an unknown value.
    let mut kind = DATABASE.to_vec();
    kind[100] = 7;
    assert!(refused(&kind).contains("page 1"));
    for length in (0..DATABASE.len()).step_by(509) {
        refused(&DATABASE[..length]);
    }
}
