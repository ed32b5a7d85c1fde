//! What the program says of settings that cannot be, through the real binary.

use mtcmcn::Weights;

use crate::cli::{Ended, Scratch};
use crate::cli_cases::{encoded, portrait};
use crate::eval_cases::limited;

fn picture() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("a.png", &encoded(&portrait(), image::ImageFormat::Png));
    scratch
}

#[test]
fn settings_of_the_environment_are_checked() {
    let scratch = picture();
    let run = |simd: &str| Ended::from(scratch.command(&["detect", "a.png", "--device", "cpu"]).env("MTCMCN_SIMD", simd).output().unwrap());
    run("avx1024").refused(&["MTCMCN_SIMD=\"avx1024\" is none of portable, avx2, avx512"]);
    assert_eq!(run("").code, Some(0));
}

#[test]
fn weights_with_thresholds_that_cannot_be_are_refused() {
    let scratch = picture();
    let own = Weights::builtin();
    for thresholds in ["0.6,0.7", "0.6,x,0.7", "0.6,nan,0.7", "0.6,1.5,0.7", ""] {
        let metadata = [("thresholds".to_owned(), thresholds.to_owned())].into();
        Weights::new(own.tensors().clone(), metadata).unwrap().save(scratch.path("w.safetensors")).unwrap();
        let ended = scratch.run(&["detect", "a.png", "--device", "cpu", "--weights", "w.safetensors"]);
        ended.refused(&["w.safetensors"]);
        assert!(ended.stderr.contains("thresholds"), "{thresholds:?}: {}", ended.stderr);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn more_threads_than_there_is_memory_for_are_an_error() {
    let scratch = picture();
    limited(&scratch, 1 << 20, "detect a.png --device cpu --threads 1024").refused(&["could not start 1024 threads"]);
}

#[test]
fn manual_pages_point_to_pages_that_exist() {
    let scratch = Scratch::new();
    assert_eq!(scratch.run(&["man", "pages"]).code, Some(0));
    let main = scratch.run(&["man"]).stdout.replace('\\', "");
    let named: Vec<&str> =
        main.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(|word| word.starts_with("mtcmcn-")).collect();
    assert!(named.contains(&"mtcmcn-detect"), "{main}");
    for page in named {
        assert!(scratch.path(&format!("pages/{page}.1")).exists(), "{page}");
    }
}

#[test]
fn the_help_of_verify_shows_how_its_file_is_written() {
    let help = Scratch::new().run(&["eval", "verify", "--help"]).stdout;
    for line in ["import numpy as np", "np.savez(", "**vectors"] {
        assert!(help.contains(line), "{help}");
    }
}
