//! The real binary on the adapter under test.

use std::path::PathBuf;
use std::process::{Command, Output};

use image::GrayImage;
use mtcmcn::doctor::noise_weights;
use serde_json::Value;

use crate::engine;

/// Creates a separate folder with noise weights.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    noise_weights().save(folder.join("noise.safetensors")).expect("weights are written");
    folder
}

fn detect(folder: &PathBuf, device: &str, args: &[&str]) -> Output {
    let mut run = Command::new(env!("CARGO_BIN_EXE_mtcmcn"));
    run.current_dir(folder).args(["detect", "--json", "--weights", "noise.safetensors", "--device", device]).args(args);
    run.output().expect("the program runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_frame_beyond_the_devices_largest_buffer_is_searched_on_the_cpu_and_says_so() {
    let (folder, adapter) = (folder("beyond"), engine().gpu().expect("a GPU engine").report().to_string());
    // An image of 35 million pixels of four bytes exceeds the 128 MiB of a binding.
    GrayImage::new(7000, 5000).save(folder.join("large.png")).expect("written");
    GrayImage::new(64, 64).save(folder.join("small.png")).expect("written");
    let run = detect(&folder, &adapter, &["--min-face", "2500", "large.png", "small.png"]);
    assert!(text(&run.stderr).contains("searched on the CPU"), "{}", text(&run.stderr));
    let lines: Vec<Value> = text(&run.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.iter().map(|line| line["width"].as_u64()).collect::<Vec<_>>(), [Some(7000), Some(64)]);
    assert!(lines.iter().all(|line| line["faces"].is_array()), "{lines:?}");
}

/// On Linux these variables determine which drivers are found.
#[cfg(target_os = "linux")]
#[test]
fn without_an_adapter_auto_runs_on_the_cpu_and_a_named_backend_is_refused() {
    let folder = folder("none");
    GrayImage::new(64, 64).save(folder.join("small.png")).expect("written");
    let run = |device: &str| {
        let mut run = Command::new(env!("CARGO_BIN_EXE_mtcmcn"));
        run.current_dir(&folder).args(["detect", "--weights", "noise.safetensors", "--device", device, "small.png"]);
        run.env("VK_DRIVER_FILES", "/nonexistent").env("VK_ICD_FILENAMES", "/nonexistent").output().expect("the program runs")
    };
    let refused = run("vulkan");
    assert_eq!(refused.status.code(), Some(2));
    let message = text(&refused.stderr);
    assert!(message.contains("\"vulkan\"") && message.contains("`cpu` needs none"), "{message}");
    assert_ne!(run("auto").status.code(), Some(2));
}
