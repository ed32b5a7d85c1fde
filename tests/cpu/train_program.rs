//! `mtcmcn train` from pictures to weights through the real binary: killed, interrupted, short of room.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
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
pub fn scratch() -> Scratch {
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

pub fn start(scratch: &Scratch, args: &[&str]) -> Child {
    scratch.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

pub fn end(child: Child) -> Ended {
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

/// Steps at the newest checkpoint, by its name.
#[cfg(target_os = "linux")]
fn newest_step(scratch: &Scratch, run: &str) -> u64 {
    let names = checkpoints(scratch, run).into_iter().filter_map(|path| path.file_stem()?.to_str()?.strip_prefix("step-")?.parse().ok());
    names.max().unwrap_or(0)
}

pub fn wait_for_checkpoint(scratch: &Scratch, run: &str, child: &mut Child) {
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
    let (mut kills, mut furthest, mut longest) = (0, 0, 200_000.0);
    // Microseconds until each kill, at random; the first fall into the cutting of crops. A busy machine needs
    // more to come anywhere.
    let mut chances = noise(400, 5).into_iter().map(|value| 0.5 * (1.0 + value));
    while kills < 25 || furthest <= 50 {
        let delay = Duration::from_micros((longest * chances.next().expect("400 kills are enough")) as u64);
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
        let before = furthest;
        for path in &paths {
            let checkpoint = Checkpoint::load(path).unwrap_or_else(|error| panic!("after kill {kills}: {error}"));
            furthest = furthest.max(checkpoint.progress.step);
        }
        assert!(furthest == 0 || !paths.is_empty(), "after kill {kills}: all checkpoints are gone");
        longest *= if furthest == before { 1.1 } else { 1.0 };
    }
    assert!(kills >= 20, "only {kills} kills before the end, at step {furthest}");
    let ended = scratch.run(&["train", "resume", "killed"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
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
    let ended =
        scratch.run(&["train", "all", "--config", "own.toml", "--out", "all", "--set", thresholds, "--set", "run.checkpoint_steps=0"]);
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
    let plotted = scratch.run(&["train", "plot", "all", "--quantity", "class"]);
    assert_eq!(plotted.code, Some(0), "{}", plotted.stderr);
    for file in ["all/class.png", "all/class.svg", "all/onet/loss.png", "all/pnet/accuracy.svg"] {
        assert!(fs::metadata(scratch.path(file)).unwrap().len() > 1000, "{file}");
    }
    let chart = fs::read_to_string(scratch.path("all/class.svg")).unwrap();
    assert!(["pnet validation", "rnet training", "onet validation"].iter().all(|name| chart.contains(name)));
    // Figure 6a on the crops that O-Net had.
    let experiment = ["train", "experiment", "mining", "--config", "own.toml", "--crops", "all/onet/crops.shard"];
    let rest = ["--weights", "all/weights.safetensors", "--out", "mining", "--seeds", "2", "--set", "run.checkpoint_steps=0"];
    let mined = scratch.run(&[&experiment[..], &rest].concat());
    assert_eq!(mined.code, Some(0), "{}", mined.stderr);
    for needle in ["class,mined,1,", "class,all,2,", "class,all,mean,", "accuracy,mined - all,standard error,"] {
        assert!(mined.stdout.contains(needle), "{needle}: {}", mined.stdout);
    }
    assert_eq!(fs::read_to_string(scratch.path("mining/results.csv")).unwrap(), mined.stdout);
    assert!(fs::metadata(scratch.path("mining/class.png")).unwrap().len() > 1000);
    let last = |variant: &str| Checkpoint::load(&checkpoints(&scratch, &format!("mining/seed-1/{variant}")).pop().unwrap()).unwrap();
    assert!(last("mined").tensors != last("all").tensors, "mining changed nothing");
    assert_eq!(scratch.run(&["train", "resume", "mining"]).stdout, mined.stdout);
    table1(&scratch);
    let wrong = scratch.run(&["train", "experiment", "mining", "--crops", "all/pnet/crops.shard", "--out", "wrong"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.stderr);
    assert!(["crops.shard", "12 pixels", "onet needs 48"].iter().all(|needle| wrong.stderr.contains(needle)), "{}", wrong.stderr);
}

/// Table 1 on the crops of the cascade in `all`, and in the table of speeds.
fn table1(scratch: &Scratch) {
    let experiment = ["train", "experiment", "table1", "--config", "own.toml", "--seeds", "2", "--set", "run.checkpoint_steps=0"];
    let lacking = scratch.run(&[&experiment[..], &["--crops", "mining", "--out", "lacking"]].concat());
    assert_eq!(lacking.code, Some(2), "{}", lacking.stderr);
    assert!(["pnet/crops.shard", "--crops", "train all"].iter().all(|needle| lacking.stderr.contains(needle)), "{}", lacking.stderr);
    let ended = scratch.run(&[&experiment[..], &["--crops", "all", "--out", "table1"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for needle in ["accuracy,net12,1,", "accuracy,pnet,mean,", "accuracy,net48 - onet,standard error,", "class,net24 - rnet,mean,"] {
        assert!(ended.stdout.contains(needle), "{needle}: {}", ended.stdout);
    }
    assert!(fs::metadata(scratch.path("table1/accuracy.png")).unwrap().len() > 1000);
    // Classes alone were learned, by each net's own weights.
    let newest = |run: &str| Checkpoint::load(&checkpoints(scratch, &format!("table1/seed-1/{run}")).pop().unwrap()).unwrap();
    let [rival, ours] = ["net48", "onet"].map(newest);
    assert_eq!((rival.net.as_str(), rival.progress.step), ("net48", ours.progress.step));
    assert!(rival.tensors.contains_key("net48.conv2.weight") && !rival.tensors.keys().any(|name| name.contains("slope")));
    assert!(ours.tensors["optimizer.m.onet.box.weight"].data.iter().all(|value| *value == 0.0));
    assert!(ours.tensors["optimizer.m.onet.class.weight"].data.iter().any(|value| *value != 0.0));
    let text = fs::read_to_string(scratch.path("table1/accuracy.json")).unwrap();
    let nets: serde_json::Value = serde_json::from_str(&text).unwrap();
    let means: Vec<_> = nets["nets"].as_array().unwrap().iter().map(|net| net["mean"].as_f64().unwrap()).collect();
    assert!(means.len() == 6 && means.iter().all(|mean| (0.0..=1.0).contains(mean)), "{text}");
    let bench = ["bench", "table1", "--device", "cpu", "--batch", "1", "--passes", "1", "--warm-up", "0", "--accuracy"];
    let table = scratch.run(&[&bench[..], &["table1/accuracy.json"]].concat());
    assert_eq!(table.code, Some(0), "{}", table.stderr);
    let told = |label: &str| table.stdout.lines().find(|line| line.trim_start().starts_with(label)).unwrap().contains(" ±");
    assert_eq!(["12-Net", "24-Net alone", "24-Net with", "O-Net"].map(told), [true, true, false, true], "{}", table.stdout);
    let json = scratch.run(&[&bench[..], &["table1/accuracy.json", "--json"]].concat());
    let rows: Vec<serde_json::Value> = json.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = rows.iter().find(|row| row["net"] == "12-Net").unwrap();
    assert!((row["accuracy"]["mean"].as_f64().unwrap() - 100.0 * means[0]).abs() < 1e-9, "{row}");
    let wrong = scratch.run(&[&bench[..], &["faces.ndjson"]].concat());
    assert!(wrong.code == Some(2) && wrong.stderr.contains("experiment table1"), "{}", wrong.stderr);
}

#[test]
fn ten_steps_that_are_saved_and_ten_more_equal_twenty() {
    let scratch = scratch();
    let prepared = scratch.run(&["train", "prepare", "pnet", "--config", "own.toml", "--out", "p.shard"]);
    assert_eq!((prepared.code, prepared.stdout.trim()), (Some(0), "p.shard"), "{}", prepared.stderr);
    // Ten steps of eight samples are an epoch.
    let begin = |out: &'static str, epochs: &'static str| {
        let own = ["train", "pnet", "--config", "own.toml", "--crops", "p.shard", "--set", "net.epoch_samples=80"];
        scratch.run(&[&own[..], &["--set", epochs, "--out", out]].concat())
    };
    for (out, epochs) in [("whole", "net.epochs=2"), ("again", "net.epochs=2"), ("half", "net.epochs=1")] {
        let ended = begin(out, epochs);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let newest = |out: &str| Checkpoint::load(&scratch.path(out).join("checkpoints/step-000000020.safetensors"));
    let half = Checkpoint::load(&scratch.path("half/checkpoints/step-000000010.safetensors")).unwrap();
    assert_eq!(half.progress.step, 10);
    assert_eq!(scratch.run(&["train", "resume", "half", "--set", "net.epochs=2"]).code, Some(0));
    let whole = newest("whole").unwrap();
    assert!(whole.tensors.keys().any(|name| name.starts_with("optimizer.v.")) && whole.tensors != half.tensors);
    // All values are finite and no two of them differ in sign alone unless they differ here.
    let bits = |checkpoint: &Checkpoint| -> Vec<u32> {
        checkpoint.tensors.values().flat_map(|tensor| tensor.data.iter().map(|value| value.to_bits())).collect()
    };
    for out in ["again", "half"] {
        let other = newest(out).unwrap();
        assert!(bits(&other) == bits(&whole), "{out}");
        assert_eq!(other.progress.best_loss, whole.progress.best_loss, "{out}");
    }
}

#[test]
fn what_is_missing_or_goes_wrong_is_named_and_the_last_good_checkpoint_stays() {
    let scratch = scratch();
    let prepared = scratch.run(&["train", "prepare", "pnet", "--config", "own.toml", "--out", "p.shard"]);
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    let begin = |out: &'static str, more: &[&'static str]| {
        scratch.run(&[&["train", "pnet", "--config", "own.toml", "--crops", "p.shard", "--out", out], more].concat())
    };
    let wild = begin("wild", &["--set", "net.optimizer.kind=sgd", "--set", "net.optimizer.learning_rate=100", "--set", "net.epochs=50"]);
    assert_eq!(wild.code, Some(2), "{}", wild.stderr);
    assert!(
        ["pnet", "not finite in step", "learning rate", "last good checkpoint"].iter().all(|n| wild.stderr.contains(n)),
        "{}",
        wild.stderr
    );
    for path in checkpoints(&scratch, "wild") {
        let checkpoint = Checkpoint::load(&path).unwrap();
        assert!(checkpoint.tensors.values().flat_map(|tensor| &tensor.data).all(|value| value.is_finite()), "{path:?}");
    }
    // A class that no crop has, unless no batch should have it.
    let faces = ["--config", "faces.toml", "--out", "f.shard"];
    scratch.write("faces.toml", SETTINGS.replace("'faces.ndjson'", "'faces.ndjson'\nlearn = ['faces']").as_bytes());
    let prepared = scratch.run(&[&["train", "prepare", "pnet"], &faces[..]].concat());
    assert_eq!(prepared.code, Some(0), "{}", prepared.stderr);
    assert!(prepared.stderr.contains("no negatives"), "{}", prepared.stderr);
    let lacking = scratch.run(&["train", "pnet", "--config", "own.toml", "--crops", "f.shard", "--out", "f"]);
    assert_eq!(lacking.code, Some(2), "{}", lacking.stderr);
    assert!(["f.shard", "negatives", "pnet.ratio"].iter().all(|needle| lacking.stderr.contains(needle)), "{}", lacking.stderr);
    // What did not begin may begin again, with a batch of one at that.
    let faces_alone = ["--set", "net.ratio=[0, 1, 1, 0]", "--set", "net.batch=1", "--set", "net.epoch_samples=5"];
    let settings = ["train", "pnet", "--config", "own.toml", "--crops", "f.shard", "--out", "f"];
    let alone = scratch.run(&[&settings[..], &faces_alone].concat());
    assert_eq!(alone.code, Some(0), "{}", alone.stderr);
    let none = scratch.run(&["train", "rnet", "--config", "own.toml", "--out", "r"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("pnet") && none.stderr.contains("--weights") && !scratch.path("r").exists(), "{}", none.stderr);
    let empty = scratch.run(&["train", "pnet", "--out", "e"]);
    assert!(empty.code == Some(2) && empty.stderr.contains("[[data.sources]]") && !scratch.path("e").exists(), "{}", empty.stderr);
}

/// Memory that is not of files, in KiB.
#[cfg(target_os = "linux")]
fn own_memory(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("RssAnon:")?.trim().strip_suffix(" kB")?.parse().ok())
}

#[cfg(target_os = "linux")]
#[test]
fn two_thousand_steps_need_no_more_memory() {
    let scratch = scratch();
    let settings = ["--quiet", "--config", "own.toml", "--out", "run", "--set", "net.epochs=1000000", "--set", "run.checkpoint_steps=100"];
    let mut child = start(&scratch, &[&["train", "pnet"], &settings[..]].concat());
    wait_for_checkpoint(&scratch, "run", &mut child);
    let mut before = None;
    let growth = loop {
        assert!(child.try_wait().unwrap().is_none(), "it ended early");
        let (step, memory) = (newest_step(&scratch, "run"), own_memory(child.id()).unwrap());
        match before {
            None if step >= 500 => before = Some((step, memory)),
            Some((first, least)) if step >= first + 2000 => break memory as f64 / least as f64 - 1.0,
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(growth <= 0.02, "{:.1} % more memory after 2000 steps", 100.0 * growth);
}

#[cfg(unix)]
#[test]
fn ctrl_c_finishes_the_step_saves_and_tells_how_to_go_on() {
    let scratch = scratch();
    let mut child = start(&scratch, &["train", "pnet", "--config", "own.toml", "--out", "run", "--set", "net.epochs=1000000"]);
    wait_for_checkpoint(&scratch, "run", &mut child);
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
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
    let mut shell = Command::new("sh");
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
