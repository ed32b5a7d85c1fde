//! Weights: names and shapes, safetensors in and out, what damaged files give.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fs;

use mtcmcn::Weights;
use mtcmcn::files::FileError;
use mtcmcn::tensor::{Tensor, noise};
use mtcmcn::weights::WeightsError;

/// A directory of its own for one test, gone with it.
pub struct Directory(pub std::path::PathBuf);

impl Directory {
    pub fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mtcmcn-{test}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> std::path::PathBuf {
        let path = self.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tensor(shape: &[usize], seed: u64) -> Tensor {
    Tensor { shape: shape.to_vec(), data: noise(shape.iter().product(), seed) }
}

fn weights<const N: usize>(tensors: [(&str, Tensor); N]) -> Weights {
    let tensors = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
    Weights::new(tensors, BTreeMap::from([("b".into(), "2".into()), ("a".into(), "\"1\" é\n".into()), ("c".into(), String::new())]))
        .unwrap()
}

fn small() -> Weights {
    weights([("b", tensor(&[2, 3], 1)), ("a", tensor(&[5], 2)), ("empty", tensor(&[0, 4], 3)), ("one", tensor(&[], 4))])
}

/// A safetensors file of `header` and `data`.
fn file(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn bytes_round_trip_and_are_the_same_every_time() {
    let bytes = small().to_bytes();
    assert_eq!(Weights::from_bytes(&bytes).unwrap(), small());
    assert_eq!(bytes, Weights::from_bytes(&bytes).unwrap().to_bytes());
    let nan = weights([("nan", Tensor { shape: vec![1], data: vec![f32::from_bits(0x7fc0_1234)] })]);
    assert_eq!(Weights::from_bytes(&nan.to_bytes()).unwrap().tensors()["nan"].data[0].to_bits(), 0x7fc0_1234);
}

#[test]
fn safetensors_itself_reads_what_is_written() {
    let bytes = small().to_bytes();
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor("b").unwrap().shape(), [2, 3]);
    assert_eq!(read.tensor("b").unwrap().data()[..4], small().tensors()["b"].data[0].to_le_bytes());
    assert_eq!((bytes.len() - 12 * 4) % 8, 0, "data are aligned");
}

#[test]
fn saving_replaces_whole_files_and_leaves_nothing_else() {
    let directory = Directory::new("save");
    let path = directory.file("weights.safetensors", b"old");
    small().save(&path).unwrap();
    assert_eq!(Weights::load(&path).unwrap(), small());
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);

    let blocked = directory.0.join("blocked");
    fs::create_dir_all(blocked.join("full")).unwrap();
    let error = small().save(&blocked).unwrap_err();
    assert!(matches!(error, WeightsError::Access(FileError::Write { .. })) && error.source().is_some(), "{error}");
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 2, "a failed write leaves no temporary file");
    assert!(matches!(small().save("/").unwrap_err(), WeightsError::Access(FileError::Write { .. })));
}

#[test]
fn many_writers_at_once_leave_one_whole_file() {
    let directory = Directory::new("race");
    let path = directory.0.join("weights.safetensors");
    small().save(&path).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..20).for_each(|_| small().save(&path).unwrap()));
        }
        (0..200).for_each(|_| assert_eq!(Weights::load(&path).unwrap(), small()));
    });
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), 1);
}

#[test]
fn a_missing_tensor_is_named() {
    let error = small().tensor("c", &[4]).unwrap_err();
    assert!(matches!(&error, WeightsError::Missing { name, want } if name == "c" && want == &[4]));
    assert!(error.to_string().contains("\"c\"") && error.to_string().contains("[4]"), "{error}");
}

#[test]
fn a_misshapen_tensor_is_named() {
    assert_eq!(small().tensor("b", &[2, 3]).unwrap().data, noise(6, 1));
    for shape in [&[3, 2][..], &[6], &[2, 3, 1], &[]] {
        let error = small().tensor("b", shape).unwrap_err();
        assert!(matches!(&error, WeightsError::Shape { got, want, .. } if got == &[2, 3] && want == shape));
        assert!(error.to_string().contains("\"b\" is [2, 3]"), "{error}");
    }
    let lie = Tensor { shape: vec![2, 2], data: vec![0.0; 5] };
    let error = Weights::new(BTreeMap::from([("lie".into(), lie)]), BTreeMap::new()).unwrap_err();
    assert!(matches!(error, WeightsError::Length { len: 5, .. }));
}

#[test]
fn an_element_that_is_not_finite_is_named() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut tensor = tensor(&[2, 3], 1);
        tensor.data[4] = bad;
        let error = weights([("b", tensor)]).tensor("b", &[2, 3]).unwrap_err();
        assert!(matches!(error, WeightsError::NotFinite { index: 4, .. }));
        assert!(error.to_string().contains(&format!("\"b\" has {bad} at element 4")), "{error}");
    }
}

#[test]
fn half_precision_is_widened_exactly() {
    let bits = [0x0000_u16, 0x8000, 0x0001, 0x83ff, 0x0400, 0x3c00, 0xc000, 0x3555, 0x7bff, 0x7c00, 0xfc00];
    let (tiny, third) = (2f32.powi(-24), 0.333_251_95);
    let want = [0.0, -0.0, tiny, -1023.0 * tiny, 1024.0 * tiny, 1.0, -2.0, third, 65504.0, f32::INFINITY, f32::NEG_INFINITY];
    let data: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
    let read = Weights::from_bytes(&file(r#"{"h":{"dtype":"F16","shape":[11],"data_offsets":[0,22]}}"#, &data)).unwrap();
    let got: Vec<_> = read.tensors()["h"].data.iter().map(|value| value.to_bits()).collect();
    assert_eq!(got, want.map(f32::to_bits));
    let nan = Weights::from_bytes(&file(r#"{"h":{"dtype":"F16","shape":[1],"data_offsets":[0,2]}}"#, &[0, 0x7e])).unwrap();
    assert!(nan.tensors()["h"].data[0].is_nan());
}

#[test]
fn other_element_types_are_named() {
    let error = Weights::from_bytes(&file(r#"{"d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#, &[0; 8])).unwrap_err();
    assert!(matches!(&error, WeightsError::Dtype { name, dtype } if name == "d" && dtype == "F64"));
}

#[test]
fn impossible_headers_are_errors() {
    let huge = [u64::MAX, 1 << 63, 100_000_001, 99_999_999, 17].map(|length| [&length.to_le_bytes()[..], &[b' '; 16]].concat());
    let headers = [
        r#"{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[18446744073709551615,2],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}}"#,
        r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
        r#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#,
        r#"{"a":{"dtype":"F32","shape":[1]}}"#,
        "[]",
        "{",
    ];
    let headers = headers.map(|header| file(header, &[0; 4]));
    for bytes in huge.iter().chain(&headers) {
        let error = Weights::from_bytes(bytes).unwrap_err();
        assert!(matches!(error, WeightsError::Safetensors { .. }) && error.to_string().contains("mtcmcn import"), "{error}");
    }
    let deep = file(&format!(r#"{{"a":{}"#, "[".repeat(100_000)), &[]);
    assert!(Weights::from_bytes(&deep).is_err());
}

#[test]
fn every_truncation_is_an_error_and_no_flipped_bit_panics() {
    let bytes = small().to_bytes();
    for length in 0..bytes.len() {
        assert!(Weights::from_bytes(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
    }
    assert!(Weights::from_bytes(&[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
    let mut refused = 0;
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        refused += usize::from(Weights::from_bytes(&damaged).is_err());
    }
    assert!(refused > bytes.len(), "{refused} of {} flips were noticed", bytes.len() * 8);
}

#[test]
fn errors_of_files_name_them() {
    let directory = Directory::new("errors");
    let absent = directory.0.join("absent.safetensors");
    let error = Weights::load(&absent).unwrap_err();
    assert!(matches!(error, WeightsError::Access(FileError::Read { .. })) && error.to_string().contains("absent.safetensors"), "{error}");
    let garbage = directory.file("garbage.safetensors", &[0xff; 100]);
    let error = Weights::load(&garbage).unwrap_err();
    assert!(error.to_string().contains("garbage.safetensors"), "{error}");
    assert!(error.source().unwrap().to_string().contains("not a whole safetensors file"));
    assert!(matches!(Weights::load(&directory.0).unwrap_err(), WeightsError::Access(FileError::Read { .. })));
}
