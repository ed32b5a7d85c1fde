//! WIDER FACE ground truth in MAT-files that the tests generate.

use std::io::Write as _;

use mtcmcn::data::Faults;
use mtcmcn::data::wider_mat::{parse_images, parse_setting};

use super::edges;

fn element(kind: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

fn array(class: u8, dims: [i32; 2], name: &str, contents: &[u8]) -> Vec<u8> {
    let dims: Vec<u8> = dims.iter().flat_map(|side| side.to_le_bytes()).collect();
    let flags = [class, 0, 0, 0, 0, 0, 0, 0];
    element(14, &[element(6, &flags), element(5, &dims), element(1, name.as_bytes()), contents.to_vec()].concat())
}

fn cells(name: &str, cells: &[Vec<u8>]) -> Vec<u8> {
    array(1, [cells.len() as i32, 1], name, &cells.concat())
}

fn text(text: &str) -> Vec<u8> {
    let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    array(4, [1, text.len() as i32], "", &element(4, &units))
}

/// Encodes rows of `columns` numbers as doubles if `wide`, otherwise as bytes, in the short form if they fit.
fn numbers(rows: &[&[u8]], columns: usize, wide: bool) -> Vec<u8> {
    let by_column = (0..columns).flat_map(|column| rows.iter().map(move |row| row[column]));
    let data: Vec<u8> = if wide { by_column.flat_map(|value| f64::from(value).to_le_bytes()).collect() } else { by_column.collect() };
    let contents = if wide {
        element(9, &data)
    } else if data.len() <= 4 {
        let mut short = vec![2, 0, data.len() as u8, 0];
        short.extend(&data);
        short.resize(8, 0);
        short
    } else {
        element(2, &data)
    };
    array(6, [rows.len() as i32, columns as i32], "", &contents)
}

/// Creates a file of these variables; those at odd positions are compressed.
pub(crate) fn file(variables: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = vec![b' '; 124];
    bytes.extend(b"\x00\x01IM");
    for (index, variable) in variables.iter().enumerate() {
        if index % 2 == 0 {
            bytes.extend(variable);
            continue;
        }
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(variable).expect("memory");
        let data = encoder.finish().expect("memory");
        bytes.extend([15u32.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat());
        bytes.extend(data);
    }
    bytes
}

/// Creates ground truth of two events with three images of 2, 0 and 1 faces.
pub(crate) fn ground_truth() -> Vec<u8> {
    let events = cells("event_list", &[text("0--Parade"), text("1--Handshaking")]);
    let names = cells("file_list", &[cells("", &[text("a"), text("b")]), cells("", &[text("c")])]);
    let first = numbers(&[&[1, 2, 3, 4], &[5, 6, 0, 8]], 4, true);
    let boxes = cells("face_bbx_list", &[cells("", &[first, numbers(&[], 4, true)]), cells("", &[numbers(&[&[9, 9, 2, 2]], 4, false)])]);
    let blur = cells(
        "blur_label_list",
        &[cells("", &[numbers(&[&[2], &[1]], 1, false), numbers(&[], 1, true)]), cells("", &[numbers(&[&[0]], 1, true)])],
    );
    file(&[events, names, boxes, blur])
}

pub(crate) fn setting(last: u8) -> Vec<u8> {
    let list =
        cells("gt_list", &[cells("", &[numbers(&[&[2]], 1, true), numbers(&[], 1, true)]), cells("", &[numbers(&[&[last]], 1, false)])]);
    file(&[text("unused"), list])
}

#[test]
fn ground_truth_is_read() {
    let mut faults = Faults::lenient();
    let images = parse_images(&ground_truth(), &mut faults.of("m".as_ref())).expect("a good file");
    assert_eq!(
        images.iter().map(|image| (&*image.path, image.faces.len())).collect::<Vec<_>>(),
        [("0--Parade/a.jpg", 2), ("0--Parade/b.jpg", 0), ("1--Handshaking/c.jpg", 1)]
    );
    assert_eq!(
        images[0].faces.iter().map(|face| edges(face.bounding_box)).collect::<Vec<_>>(),
        [[1.0, 2.0, 4.0, 6.0], [5.0, 6.0, 5.0, 14.0]]
    );
    assert_eq!(images[0].faces.iter().map(|face| face.attributes.blur).collect::<Vec<_>>(), [2, 1]);
    assert!(faults.noted() == 1 && faults.list()[0].what.contains("face 2 of 0--Parade/a.jpg"), "{:?}", faults.list());

    let counted = parse_setting(&setting(1), &images, &mut faults.of("s".as_ref())).expect("a good file");
    assert_eq!(counted, [vec![false, true], vec![], vec![true]]);
    let counted = parse_setting(&setting(2), &images, &mut faults.of("s".as_ref())).expect("lenient");
    assert_eq!(counted[2], [false]);
    assert_eq!((faults.skipped(), &*faults.list()[1].what), (1, "face 2 of 1--Handshaking/c.jpg is one of 1: skipped"));
}

#[test]
fn other_files_are_refused_by_name() {
    let mut faults = Faults::lenient();
    let mut refused = |bytes: &[u8]| parse_images(bytes, &mut faults.of("m.mat".as_ref())).unwrap_err().to_string();
    for (bytes, words) in [(vec![], "shorter"), (vec![0; 200], "level 5"), (file(&[text("x")]), "event_list"), (setting(1), "event_list")] {
        let error = refused(&bytes);
        assert!(error.contains("m.mat") && error.contains(words), "{error}");
    }
    let whole = ground_truth();
    // Attributes are not requested, so the file may end before them.
    let last = whole.windows(4).rposition(|kind| kind == 15u32.to_le_bytes()).expect("the last variable is compressed");
    for length in (0..whole.len()).filter(|length| *length != last) {
        assert!(parse_images(&whole[..length], &mut Faults::lenient().of("m".as_ref())).is_err(), "{length} of {} bytes", whole.len());
    }
}
