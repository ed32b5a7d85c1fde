//! `mtcmcn train` from pictures to weights through the real binary: killed, interrupted, short of room.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use image::{Rgb, RgbImage};
use mtcmcn::Weights;
use mtcmcn::tensor::noise;
use mtcmcn::train::checkpoint::Checkpoint;
use serde_json::json;

use crate::cli::{Ended, Scratch};

const SETTINGS: &str = "
[[data.sources]]
format = 'json'
annotations = 'faces.ndjson'
[data.crops]
negatives_per_image = 10
tries_per_face = 8
[net]
batch = 8
epochs = 2
[run]
device = 'cpu'
log_steps = 10
checkpoint_steps = 1
";

/// Pictures of noise, each with one bright square that stands for a face.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let mut lines = String::new();
    for i in 0..12 {
        let mut values = noise(90 * 80 * 3, i).into_iter().map(|value| (100.0 + 60.0 * value) as u8);
        let mut picture = RgbImage::from_fn(90, 80, |_, _| Rgb([0; 3].map(|_: u8| values.next().unwrap())));
        let (x, y, side) = (10 + 3 * i as u32, 8 + 2 * i as u32, 32);
        for (px, py) in (0..side).flat_map(|dy| (0..side).map(move |dx| (x + dx, y + dy))) {
            picture.put_pixel(px, py, Rgb([230, 200, 180]));
        }
        picture.save(scratch.path(&format!("{i}.png"))).unwrap();
        let [x1, y1, x2, y2] = [x, y, x + side, y + side].map(f64::from);
        let landmarks = [[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]].map(|[u, v]| [x1 + 32.0 * u, y1 + 32.0 * v]);
        let line = json!({ "path": format!("{i}.png"), "faces": [{ "box": [x1, y1, x2, y2], "landmarks": landmarks }] });
        lines += &format!("{line}\n");
    }
    scratch.write("faces.ndjson", lines.as_bytes());
    scratch.write("own.toml", SETTINGS.as_bytes());
    scratch
}

fn start(scratch: &Scratch, args: &[&str]) -> Child {
    scratch.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn end(child: Child) -> Ended {
    child.wait_with_output().unwrap().into()
}

/// Every checkpoint in the run's folder.
fn checkpoints(scratch: &Scratch, run: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(scratch.path(run).join("checkpoints")) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "safetensors"));
    paths.sort();
    paths
}

fn wait_for_checkpoint(scratch: &Scratch, run: &str, child: &mut Child) {
    let begun = Instant::now();
    while checkpoints(scratch, run).is_empty() {
        if begun.elapsed() > Duration::from_secs(120) || child.try_wait().unwrap().is_some() {
            let _ = child.kill();
            let mut text = String::new();
            child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
            panic!("no checkpoint: {text}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_over_and_over_it_never_leaves_an_unreadable_file_and_ends_with_the_same_bits() {
    let scratch = scratch();
    let begin = |run: &'static str| ["train", "pnet", "--config", "own.toml", "--set", "net.epochs=40", "--out", run];
    let whole = scratch.run(&begin("whole"));
    assert_eq!(whole.code, Some(0), "{}", whole.stderr);
    let (mut kills, mut furthest) = (0, 0);
    // Milliseconds until each kill, at random; the first fall into the cutting of crops.
    let delays = noise(400, 5).into_iter().map(|value| Duration::from_micros((110_000.0 * (1.0 + value)) as u64));
    for delay in delays {
        let begun = scratch.path("killed/run.toml").exists();
        let mut child = if begun { start(&scratch, &["train", "resume", "killed"]) } else { start(&scratch, &begin("killed")) };
        std::thread::sleep(delay);
        if child.try_wait().unwrap().is_some() {
            let ended = end(child);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        let paths = checkpoints(&scratch, "killed");
        for path in &paths {
            let checkpoint = Checkpoint::load(path).unwrap_or_else(|error| panic!("after kill {kills}: {error}"));
            furthest = furthest.max(checkpoint.progress.step);
        }
        assert!(furthest == 0 || !paths.is_empty(), "after kill {kills}: all checkpoints are gone");
        if kills >= 25 && furthest > 50 {
            let ended = scratch.run(&["train", "resume", "killed"]);
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            break;
        }
    }
    assert!(kills >= 20 && furthest > 0, "only {kills} kills before the end, step {furthest}");
    for file in ["weights.safetensors", "crops.shard"] {
        assert!(fs::read(scratch.path("killed").join(file)).unwrap() == fs::read(scratch.path("whole").join(file)).unwrap(), "{file}");
    }
    let left = fs::read_dir(scratch.path("killed")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(left.filter(|name| name.ends_with(".tmp")).count() <= 1, "half-written files pile up");
}

#[test]
fn the_cascade_is_trained_and_a_finished_run_is_not_trained_again() {
    let scratch = scratch();
    let thresholds = "data.crops.thresholds=[0.0, 0.0]";
    let ended = scratch.run(&["train", "all", "--config", "own.toml", "--out", "all", "--set", thresholds, "--set", "run.checkpoint_steps=0"]);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), "all/weights.safetensors"), "{}", ended.stderr);
    Weights::load(scratch.path("all/weights.safetensors")).unwrap().check().unwrap();
    // A checkpoint of the last net is a whole cascade too; one of the first says what it lacks.
    let newest = checkpoints(&scratch, "all/onet").pop().unwrap();
    let found = scratch.run(&["detect", "--device", "cpu", "--weights", newest.to_str().unwrap(), "0.png"]);
    assert!([Some(0), Some(1)].contains(&found.code), "{}", found.stderr);
    let newest = checkpoints(&scratch, "all/pnet").pop().unwrap();
    let refused = scratch.run(&["detect", "--device", "cpu", "--weights", newest.to_str().unwrap(), "0.png"]);
    assert_eq!(refused.code, Some(2));
    assert!(["hold pnet alone", "rnet", "onet"].iter().all(|needle| refused.stderr.contains(needle)), "{}", refused.stderr);
    let stamp = |file: &str| fs::metadata(scratch.path(file)).unwrap().modified().unwrap();
    let before = ["all/weights.safetensors", "all/onet/weights.safetensors", "all/rnet/crops.shard"].map(stamp);
    assert_eq!(scratch.run(&["train", "resume", "all"]).code, Some(0));
    assert_eq!(["all/weights.safetensors", "all/onet/weights.safetensors", "all/rnet/crops.shard"].map(stamp), before);
    for quantity in ["loss", "accuracy"] {
        let plotted = scratch.run(&["train", "plot", "all", "--quantity", quantity]);
        assert_eq!(plotted.code, Some(0), "{}", plotted.stderr);
        assert!(fs::metadata(scratch.path(&format!("all/{quantity}.png"))).unwrap().len() > 1000);
    }
}

#[test]
fn an_experiment_trains_its_pairs_and_draws_them() {
    let scratch = scratch();
    let prepared = scratch.run(&["train", "prepare", "pnet", "--config", "own.toml", "--out", "p.shard"]);
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    let pnet = scratch.run(&["train", "pnet", "--config", "own.toml", "--crops", "p.shard", "--out", "p", "--set", "run.checkpoint_steps=0"]);
    assert_eq!(pnet.code, Some(0), "{}", pnet.stderr);
    let wrong = scratch.run(&["train", "experiment", "mining", "--config", "own.toml", "--crops", "p.shard", "--out", "wrong"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("p.shard") && wrong.stderr.contains("pnet"), "{}", wrong.stderr);
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_saves_and_tells_how_to_go_on() {
    let scratch = scratch();
    let mut child = start(&scratch, &["train", "pnet", "--config", "own.toml", "--out", "run", "--set", "net.epochs=1000000"]);
    wait_for_checkpoint(&scratch, "run", &mut child);
    let signalled = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let ended = end(child);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("mtcmcn train resume run"), "{}", ended.stderr);
    let second = scratch.run(&["train", "pnet", "--config", "own.toml", "--out", "run"]);
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("holds a run already"), "{}", second.stderr);
}

#[cfg(unix)]
#[test]
fn a_second_process_is_refused_and_a_full_disk_is_told() {
    let scratch = scratch();
    let mut child = start(&scratch, &["train", "pnet", "--config", "own.toml", "--out", "run", "--set", "net.epochs=1000000"]);
    wait_for_checkpoint(&scratch, "run", &mut child);
    let second = scratch.run(&["train", "resume", "run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(second.code, Some(2));
    assert!(second.stderr.contains("another process is training"), "{}", second.stderr);
    let kept = checkpoints(&scratch, "run").pop().unwrap();
    // No file may grow beyond 4 KiB, which is less than a checkpoint has and more than the measurements.
    let program = env!("CARGO_BIN_EXE_mtcmcn");
    let script = format!("ulimit -f 8; trap '' XFSZ; exec '{program}' train resume run");
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", &script]).current_dir(scratch.path("."));
    let full: Ended = shell.output().unwrap().into();
    assert_eq!(full.code, Some(2), "{}", full.stderr);
    assert!(full.stderr.contains("cannot write") && full.stderr.contains("free space"), "{}", full.stderr);
    Checkpoint::load(&kept).unwrap();
    assert!(fs::metadata("/dev/full").is_ok(), "this test writes to /dev/full");
    fs::remove_file(scratch.path("run/metrics.jsonl")).unwrap();
    std::os::unix::fs::symlink("/dev/full", scratch.path("run/metrics.jsonl")).unwrap();
    let full = scratch.run(&["train", "resume", "run"]);
    assert_eq!(full.code, Some(2));
    assert!(full.stderr.contains("metrics.jsonl") && full.stderr.contains("free space"), "{}", full.stderr);
}
