//! Tests on photos, with the public weights: what the default algorithm must find in them.
//!
//! They need a folder of photos (`MTCMCN_DATA`, else `../shared/data`) with an independent implementation's
//! faces beside it (`../oracle`), and the public weights, which the program fetches. `tools/check.sh` runs
//! them where the folder is; none of it is part of this repository.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

#[path = "../support/backward.rs"]
mod backward;
mod golden;
mod gradients;
mod oracle;
mod protocols;
mod steady;
#[allow(dead_code, reason = "made-up faces are for the tests without photos")]
#[path = "../support/synthetic.rs"]
mod synthetic;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use mtcmcn::{Config, Detector, Device, Engine, Frame, Weights};

/// The folder of photos.
fn data() -> PathBuf {
    let folder =
        std::env::var_os("MTCMCN_DATA").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"), PathBuf::from);
    assert!(folder.is_dir(), "these tests need a folder of photos: set MTCMCN_DATA ({} is none)", folder.display());
    folder
}

/// Runs the program with the public weights.
fn mtcmcn(args: &[&str], paths: &[PathBuf]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtcmcn")).env("MTCMCN_WEIGHTS", published()).args(args).args(paths).output().unwrap()
}

/// The public weights, as `mtcmcn import published` gets them: golden runs and the oracle's faces are theirs.
fn published() -> &'static Path {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join("published.safetensors");
        let run = Command::new(env!("CARGO_BIN_EXE_mtcmcn")).args(["import", "published", "--out"]).arg(&file).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        file
    })
}

fn weights() -> &'static Weights {
    static WEIGHTS: OnceLock<Weights> = OnceLock::new();
    WEIGHTS.get_or_init(|| Weights::load(published()).unwrap())
}

/// A photo below the data folder.
fn photo(path: &str) -> Frame {
    let image = image::open(data().join(path)).unwrap().to_rgba8();
    Frame::from_rgba(image.width(), image.height(), image.into_raw()).unwrap()
}

/// An opened engine by name, `software` for the software adapter of Vulkan.
fn engine(name: &str) -> Engine {
    let device = if name == "software" { Device::Named("llvmpipe".to_owned()) } else { name.parse().unwrap() };
    Engine::open(&device).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn detector(name: &str) -> Detector {
    Detector::new(engine(name), weights(), Config::default()).unwrap()
}
