//! Embeddings in numpy and safetensors files.

use std::collections::BTreeMap;
use std::io::Write as _;

use mtcmcn::data::embeddings::{Embeddings, parse};
use mtcmcn::data::{DataError, Faults};
use mtcmcn::tensor::Tensor;
use mtcmcn::weights::Weights;

pub(crate) fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let mut header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header += "\n";
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), data].concat()
}

pub(crate) fn npz(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, data) in members {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).expect("memory");
        archive.write_all(data).expect("memory");
    }
    archive.finish().expect("memory").into_inner()
}

pub(crate) fn names(names: &[&str]) -> Vec<u8> {
    let longest = names.iter().map(|name| name.len()).max().unwrap_or(1);
    let padded = names.iter().flat_map(|name| name.chars().chain(std::iter::repeat('\0')).take(longest));
    npy(&format!("<U{longest}"), &format!("{},", names.len()), &padded.flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>())
}

pub(crate) fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn read(bytes: &[u8]) -> Result<(Embeddings, Vec<String>), DataError> {
    let mut faults = Faults::lenient();
    let found = parse(bytes, &mut faults.of("e.npz".as_ref()))?;
    Ok((found, faults.list().iter().map(|fault| fault.what.clone()).collect()))
}

#[test]
fn every_format_gives_unit_vectors_by_name() {
    let doubles: Vec<u8> = [3.0, 4.0, 0.0, -2.0f64].iter().flat_map(|value| value.to_le_bytes()).collect();
    let halves: Vec<u8> = [0x4200u16, 0x4400, 0, 0xc000].iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let floats = f32s(&[3.0, 4.0, 0.0, -2.0]);
    let tensor = Tensor { shape: vec![2, 2], data: vec![3.0, 4.0, 0.0, -2.0] };
    let named = BTreeMap::from([("names".to_owned(), "x/a.jpg\nx/b.jpg".to_owned())]);
    let weights = Weights::new(BTreeMap::from([("embeddings".to_owned(), tensor)]), named).expect("consistent");
    let list = names(&["x/a.jpg", "x/b.jpg"]);
    let files = [
        (npy("<f4", "2, 2", &floats), ["0", "1"]),
        (npz(&[("arr_0", npy("<f8", "2, 2", &doubles)), ("names", list.clone())]), ["x/a.png", "b"]),
        (
            npz(&[("names", list), ("labels", npy("<f4", "2,", &floats[..8])), ("embeddings", npy("<f2", "2, 2", &halves))]),
            ["a.jpg", "/x/b"],
        ),
        (weights.to_bytes(), ["a", "x/b"]),
    ];
    for (bytes, [first, second]) in files {
        let (found, faults) = read(&bytes).expect("a good file");
        assert_eq!((found.len(), found.dimension, found.of("nobody"), faults.len()), (2, 2, None, 0));
        assert_eq!(found.of(first), Some(&[0.6, 0.8][..]));
        assert_eq!(found.of(second.trim_start_matches('/')), Some(&[0.0, -1.0][..]));
    }
}

#[test]
fn ambiguous_and_repeated_names() {
    let (found, faults) =
        read(&npz(&[("e", npy("<f4", "3, 1", &f32s(&[1.0, -1.0, 1.0]))), ("names", names(&["x/a", "y/a", "x/a"]))])).expect("lenient");
    assert_eq!((found.of("a"), found.of("y/a")), (None, Some(&[-1.0][..])));
    assert!(faults.len() == 1 && faults[0].contains("second embedding"), "{faults:?}");
}

#[test]
fn what_is_no_embedding_is_refused_by_name() {
    let one = npy("<f4", "1, 1", &f32s(&[1.0]));
    for (bytes, words) in [
        (vec![], "safetensors"),
        (npy("<f4", "2, 2", &[0; 12]), "cut off"),
        (npy("<f4", "1, 1", &f32s(&[f32::NAN])), "\"0\""),
        (npy("<f4", "2, 1", &f32s(&[1.0, 0.0])), "\"1\""),
        (npy("<i4", "1, 1", &[0; 4]), "i4"),
        (npy(">f4", "1, 1", &[0; 4]), "big-endian"),
        (npy("<f4", "1,", &[0; 4]), "0 matrices"),
        (npy("<f4", "4, 0", &[]), "without elements"),
        (npy("<f4", "99999999999, 99999999999", &[]), "impossible"),
        (npz(&[("a", one.clone()), ("b", one.clone())]), "2 matrices"),
        (npz(&[("a", one), ("names", names(&["x", "y"]))]), "2 names"),
    ] {
        let error = read(&bytes).unwrap_err().to_string();
        assert!(error.contains("e.npz") && error.contains(words), "{error} does not say {words:?}");
    }
}
