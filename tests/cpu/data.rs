//! Readers and writers of annotations and detections: their results, and their messages about faulty files.

#[cfg(feature = "toolkit")]
mod aflw;
mod celeba;
#[cfg(feature = "toolkit")]
mod embeddings;
mod facepoint;
mod fddb;
#[cfg(feature = "toolkit")]
mod general;
mod json;
mod matching;
#[cfg(feature = "toolkit")]
mod matlab;
mod pairs;
mod wider;

#[cfg(feature = "toolkit")]
pub(crate) use embeddings::{f32s, names, npy, npz};

use std::path::Path;

use mtcmcn::data::{DataError, Faults, FileFaults};
use mtcmcn::geometry::BoundingBox;

/// Parses `text` in lenient mode; returns the result, and the faults as `line: text`.
pub(crate) fn lenient<T>(text: &str, parse: impl Fn(&[u8], &mut FileFaults) -> Result<T, DataError>) -> (T, Vec<String>) {
    let mut faults = Faults::lenient();
    let found = parse(text.as_bytes(), &mut faults.of(Path::new("f"))).expect("faults are collected");
    assert_eq!(faults.list().len(), faults.skipped() + faults.noted());
    // Strict reading fails exactly if there is a fault.
    let strict = parse(text.as_bytes(), &mut Faults::strict().of(Path::new("f")));
    match (faults.list().first(), strict) {
        (None, Ok(_)) => {}
        (Some(first), Err(DataError::Fault(fault))) => assert_eq!(*first, fault),
        (first, strict) => panic!("lenient {first:?}, strict {:?}", strict.err()),
    }
    (found, faults.list().iter().map(|fault| format!("{}: {}", fault.line, fault.what)).collect())
}

/// Parses a text without faults. The result must be the same with CRLF, with a byte order mark, with blank
/// lines at the end, and without the last newline.
pub(crate) fn clean<T: PartialEq + std::fmt::Debug>(text: &str, parse: impl Fn(&[u8], &mut FileFaults) -> Result<T, DataError>) -> T {
    let (found, faults) = lenient(text, &parse);
    assert_eq!(faults, Vec::<String>::new());
    for variant in [text.replace('\n', "\r\n"), format!("\u{feff}{text}"), format!("{text}\n \r\n\n"), text.trim_end().to_owned()] {
        let (same, faults) = lenient(&variant, &parse);
        assert_eq!((&same, faults), (&found, vec![]), "{variant:?}");
    }
    found
}

pub(crate) fn edges(b: BoundingBox) -> [f32; 4] {
    [b.x1, b.y1, b.x2, b.y2]
}

/// Checks that there are as many faults as `expected`, each with the given line and words.
#[track_caller]
pub(crate) fn assert_faults(found: &[String], expected: &[(usize, &str)]) {
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (fault, (line, words)) in found.iter().zip(expected) {
        assert!(fault.starts_with(&format!("{line}: ")) && fault.contains(words), "{fault:?} is not about {words:?} in line {line}");
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = mtcmcn::data::wider::read(Path::new("/no/such.txt"), &mut Faults::lenient()).unwrap_err();
    assert!(error.to_string().contains("/no/such.txt"), "{error}");
}

#[test]
fn a_fault_names_file_and_line_and_cannot_command_the_terminal() {
    let mut faults = Faults::lenient();
    faults.of(Path::new("a\u{1b}[31m.txt")).skipped(7, "x\u{7}y").expect("lenient");
    assert_eq!(faults.list()[0].to_string(), "a\u{fffd}[31m.txt:7: x\u{fffd}y");
}

#[test]
fn many_faults_are_counted_and_only_the_first_kept() {
    let mut faults = Faults::lenient();
    for line in 1..=10_001 {
        faults.of(Path::new("f")).skipped(line, "x").expect("lenient");
    }
    assert_eq!((faults.skipped(), faults.list().len()), (10_001, 10_000));
}
