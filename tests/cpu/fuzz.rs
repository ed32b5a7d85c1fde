//! A short run of every fuzz target with mutations of `fuzz/seeds`, the same in every run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fuzz_targets::{TARGETS, run};
use crate::synthetic::Stream;

/// Number of mutations of each seed.
const ROUNDS: usize = 400;

/// Inputs that are difficult for readers of numbers.
const PROVOCATIONS: [&str; 16] = [
    "-1",
    "0",
    "99999999999999999999",
    "NaN",
    "inf",
    "-1e999",
    "1e-400",
    "1000001",
    "\n",
    "\r\n",
    "\0",
    " ",
    "\u{feff}",
    "{",
    "[[[[[[[[",
    "\"",
];

fn seeds(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = match target {
        "aflw" => vec![root.join("tests/fixtures/aflw.sqlite")],
        _ => fs::read_dir(root.join("fuzz/seeds").join(target)).unwrap().map(|entry| entry.unwrap().path()).collect(),
    };
    files.sort();
    assert!(!files.is_empty(), "{target} has no seeds");
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Draws a position in `bytes` or at their end.
fn place(stream: &mut Stream, bytes: &[u8]) -> usize {
    stream.pick(bytes.len() as i64 + 1) as usize
}

fn span(stream: &mut Stream, bytes: &[u8]) -> std::ops::Range<usize> {
    let (a, b) = (place(stream, bytes), place(stream, bytes));
    // Ranges are mostly short, so that most of the input is unchanged.
    let (from, to) = (a.min(b), a.max(b));
    from..if stream.pick(4) > 0 { to.min(from + 8) } else { to }
}

fn mutated(stream: &mut Stream, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=stream.pick(4) {
        let at = place(stream, &bytes);
        match stream.pick(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << stream.pick(8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][stream.pick(5) as usize],
            2 => {
                let range = span(stream, &bytes);
                bytes.drain(range);
            }
            3 => bytes.truncate(at),
            4 => {
                let range = span(stream, &bytes);
                let copy = bytes[range].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let provocation = PROVOCATIONS[stream.pick(PROVOCATIONS.len() as i64) as usize];
                bytes.splice(at..at, provocation.bytes());
            }
            _ => {
                let range = span(stream, other);
                bytes.splice(at..at, other[range].iter().copied());
            }
        }
    }
    bytes
}

#[test]
fn no_reader_panics_on_any_bytes() {
    for (number, (target, _)) in TARGETS.iter().enumerate() {
        let seeds = seeds(target);
        for (file, seed) in &seeds {
            let mut stream = Stream(number as u64);
            run(target, seed);
            for round in 0..ROUNDS {
                let other = &seeds[stream.pick(seeds.len() as i64) as usize].1;
                let bytes = mutated(&mut stream, seed, other);
                let checked = std::panic::catch_unwind(|| run(target, &bytes));
                assert!(checked.is_ok(), "{target}, round {round} on {}: {:?}", file.display(), String::from_utf8_lossy(&bytes));
            }
        }
    }
}

#[test]
fn every_target_is_listed_and_has_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    for (target, _) in TARGETS {
        assert!(manifest.contains(&format!("name = \"{target}\"")), "{target}");
        let source = fs::read_to_string(root.join(format!("fuzz_targets/{target}.rs"))).unwrap();
        assert!(source.contains(&format!("run(\"{target}\"")), "{target}");
    }
    assert_eq!(fs::read_dir(root.join("fuzz_targets")).unwrap().count(), TARGETS.len());
}
