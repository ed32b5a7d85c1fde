//! `mtcmcn bench`, the real binary: what it refuses, the shape of what it prints, and the files it writes. No
//! time is judged here.

use std::collections::BTreeMap;
use std::fs;

use image::RgbImage;
use mtcmcn::doctor::noise_weights;
use mtcmcn::tensor::noise;
use serde_json::Value;

use crate::cli::{Ended, Scratch};

/// A directory with `noise.safetensors` and one image.
fn scratch() -> Scratch {
    let scratch = Scratch::new();
    noise_weights().save(scratch.path("noise.safetensors")).unwrap();
    let bytes = noise(96 * 72 * 3, 1).iter().map(|value| (value * 127.0 + 128.0) as u8).collect();
    RgbImage::from_raw(96, 72, bytes).unwrap().save(scratch.path("a.png")).unwrap();
    scratch
}

/// As little work as there can be.
fn bench(scratch: &Scratch, args: &[&str]) -> Ended {
    let common = ["bench", "--weights", "noise.safetensors", "--frames", "2", "--warm-up", "1"];
    scratch.run(&[&common[..], args].concat())
}

fn kinds(ended: &Ended) -> BTreeMap<String, Vec<Value>> {
    let mut kinds: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for object in ended.objects() {
        kinds.entry(object["kind"].as_str().unwrap().to_owned()).or_default().push(object);
    }
    kinds
}

/// Asserts that `object` has these keys and no others.
fn keys(object: &Value, want: &[&str]) {
    let mut want = want.to_vec();
    want.sort_unstable();
    let mut got: Vec<_> = object.as_object().unwrap_or_else(|| panic!("{object} is no object")).keys().map(String::as_str).collect();
    got.sort_unstable();
    assert_eq!(got, want, "{object}");
}

fn positive(value: &Value) -> f64 {
    let number = value.as_f64().unwrap_or(f64::NAN);
    assert!(number > 0.0 && number.is_finite(), "{value}");
    number
}

#[test]
fn bad_flags_are_refused_before_any_work_and_named() {
    let scratch = Scratch::new();
    for (flag, values) in [
        ("--size", &["640", "640x", "11x480", "640x99999", "a x b"][..]),
        ("--min-face", &["0", "-1", "nan", "small"]),
        ("--seconds", &["0", "-1", "nan", "3601"]),
        ("--frames", &["0", "1.5", "x"]),
        ("--warm-up", &["0", "x"]),
        ("--starts", &["101", "x"]),
        ("--threads", &["0", "1025", "x"]),
        ("--no-such", &["1"]),
    ] {
        for value in values {
            let ended = scratch.run(&["bench", "missing.png", flag, value]);
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{flag} {value}");
            assert!(ended.stderr.contains(flag) && !ended.stderr.contains("missing.png:"), "{flag} {value}: {}", ended.stderr);
        }
    }
    for args in [&["--seconds", "1", "--frames", "3"][..], &["table1", "a.png"], &["table1", "--batch", "0"], &["table1", "--passes", "0"]]
    {
        let ended = scratch.run(&[&["bench"], args].concat());
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{args:?}");
    }
}

#[test]
fn inputs_weights_and_engines_that_cannot_be_used_are_named() {
    let scratch = scratch();
    bench(&scratch, &["missing.png"]).refused(&["missing.png: ", "there is no frame to search"]);
    scratch.run(&["bench", "--weights", "none.safetensors", "a.png"]).refused(&["none.safetensors"]);
    let ended = bench(&scratch, &["a.png", "--device", "no-such-adapter"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("no-such-adapter") && ended.stderr.contains("nothing could be measured"), "{}", ended.stderr);

    // The rest is measured all the same.
    let args = ["missing.png", "a.png", "--device", "no-such-adapter,cpu", "--starts", "0", "--min-face", "20", "--json"];
    let ended = bench(&scratch, &args);
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 2), "{}", ended.stderr);
    assert_eq!(kinds(&ended)["setting"].len(), 1);
}

#[test]
fn json_has_the_shape_that_the_help_tells() {
    let scratch = scratch();
    let args = ["--json", "--profile", "--device", "cpu,twin", "--threads", "1", "--starts", "1", "--size", "60x40,96x72,60x40"];
    let ended = bench(&scratch, &[&args[..], &["--min-face", "20,40", "a.png"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let kinds = kinds(&ended);
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["machine", "setting", "step"]);
    keys(&kinds["machine"][0], &["kind", "version", "cpu", "cores", "threads", "os", "arch", "energy"]);
    assert_eq!(kinds["machine"][0]["threads"], 1);

    let settings = &kinds["setting"];
    let named = |s: &Value| (s["width"].as_u64().unwrap(), s["height"].as_u64().unwrap(), positive(&s["min_face"]) as u32);
    let both: Vec<_> = [(60, 40, 20), (60, 40, 40), (96, 72, 20), (96, 72, 40)].repeat(2);
    assert_eq!(settings.iter().map(named).collect::<Vec<_>>(), both);
    assert!(settings[..4].iter().all(|s| s["engine"].as_str().unwrap().starts_with("CPU")) && settings[4]["engine"] == "twin");
    for s in settings {
        keys(s, &SETTING);
        keys(&s["latency_ms"], &["count", "p50", "p90", "p99", "least", "most", "mean"]);
        assert_eq!(s["latency_ms"]["count"], 2);
        assert!(positive(&s["latency_ms"]["least"]) <= positive(&s["latency_ms"]["p50"]), "{s}");
        assert!(positive(&s["latency_ms"]["p99"]) <= positive(&s["latency_ms"]["most"]), "{s}");
        let (fps, claim) = (positive(&s["fps"]), positive(&s["claim_fps"]));
        assert!((fps * positive(&s["latency_ms"]["p50"]) / 1000.0 - 1.0).abs() < 1e-9, "{s}");
        assert!(claim == 16.0 && (positive(&s["times_claim"]) - fps / claim).abs() < 1e-9, "{s}");
        keys(&s["in_flight"], &["frames", "fps"]);
        keys(&s["together"], &["frames", "fps"]);
        assert_eq!((&s["together"]["frames"], &s["in_flight"]["frames"]), (&1.into(), &3.into()));
        keys(&s["candidates"], &["cells", "level_nms", "merged", "rnet", "rnet_nms", "onet", "faces"]);
        keys(&s["per_frame"], &["dispatches", "submissions", "read_backs", "bytes_up", "bytes_down"]);
        positive(&s["per_frame"]["dispatches"]);
        keys(&s["start_ms"], &["engine", "weights", "first", "process"]);
        assert!(positive(&s["start_ms"]["process"]) >= positive(&s["start_ms"]["first"]), "{s}");
        if cfg!(target_os = "linux") {
            positive(&s["peak_bytes"]);
        }
        assert!(s["adapter"].is_null() && s["threads"] == 1, "{s}");
    }
    let pixels: Vec<_> = settings[..4].iter().map(|s| positive(&s["pyramid_pixels"])).collect();
    assert!(pixels[0] > pixels[1] && pixels[2] > pixels[0] && pixels[2] > pixels[3], "{pixels:?}");

    // Two sizes are too few to tell how time grows with them.
    let args = ["--device", "cpu", "--starts", "0", "--size", "60x40,96x72,120x90", "--min-face", "20", "--json", "a.png"];
    let grown = self::kinds(&bench(&scratch, &args));
    assert_eq!(grown["growth"].len(), 1);
    keys(&grown["growth"][0], &GROWTH);
    let pixels = |object: &Value| object["pyramid_pixels"].as_array().unwrap().iter().map(positive).collect::<Vec<_>>();
    assert_eq!(pixels(&grown["growth"][0]), grown["setting"].iter().map(|s| positive(&s["pyramid_pixels"])).collect::<Vec<_>>());
    assert!(grown["growth"][0]["worst"].as_f64().is_some_and(|worst| worst >= 0.0));

    for step in &kinds["step"] {
        keys(step, &STEP);
        assert!(step["microseconds"].as_f64().is_some_and(|time| time >= 0.0) && step["clock"] == "host", "{step}");
        // The floor is the greater of two: what is nearer to its ceiling.
        let nearest = [&step["of_peak"], &step["of_bandwidth"]].into_iter().filter_map(Value::as_f64).fold(0.0, f64::max);
        let (floor, time) = (step["floor_microseconds"].as_f64().unwrap(), step["microseconds"].as_f64().unwrap());
        assert!((floor - nearest * time).abs() <= 1e-2 + 1e-6 * floor, "{step}");
    }
    let peaks: Vec<_> = kinds["step"].iter().filter(|step| step["gflops"].is_number()).map(|step| positive(&step["of_peak"])).collect();
    assert!(!peaks.is_empty(), "no step has a rate");
    let help = scratch.run(&["bench", "--help"]).stdout;
    for key in SETTING.iter().chain(&STEP).chain(&GROWTH) {
        assert!(help.contains(key), "the help does not name {key}");
    }
}

#[test]
fn a_profile_for_people_has_one_row_for_steps_that_are_alike() {
    let scratch = scratch();
    let args = ["--profile", "--device", "cpu", "--starts", "0", "--size", "640x480", "--min-face", "20"];
    let steps = kinds(&bench(&scratch, &[&args[..], &["--json"]].concat()))["step"].len();
    let text = bench(&scratch, &args).stdout;
    let rows: Vec<Vec<&str>> =
        text.lines().skip_while(|line| !line.contains("step by step")).map(|line| line.split_whitespace().collect()).collect();
    let rows: Vec<_> =
        rows.into_iter().filter(|words| words.first().is_some_and(|word| word.parse::<u32>().is_ok()) && words.len() > 8).collect();
    let times: usize = rows.iter().map(|words| words[2].parse::<usize>().unwrap()).sum();
    assert_eq!(times, steps, "{text}");
    assert!(text.contains("floor, µs") && text.contains("  all steps "), "{text}");
    assert!(steps > 100 && rows.len() < 40, "{steps} steps in {} rows:\n{text}", rows.len());
    // Three nets have dense layers and heads of their own, however many chunks of crops they see.
    let rows_of = |kernel: &str| rows.iter().filter(|words| words[1] == kernel).count();
    assert_eq!([rows_of("decode"), rows_of("judge"), rows_of("settle")], [1, 2, 3], "{text}");
}

const SETTING: [&str; 23] = [
    "kind",
    "engine",
    "adapter",
    "threads",
    "source",
    "width",
    "height",
    "min_face",
    "factor",
    "thresholds",
    "latency_ms",
    "fps",
    "in_flight",
    "together",
    "candidates",
    "truncated",
    "per_frame",
    "pyramid_pixels",
    "start_ms",
    "peak_bytes",
    "joules_per_frame",
    "claim_fps",
    "times_claim",
];

const STEP: [&str; 15] = [
    "kind",
    "engine",
    "width",
    "height",
    "min_face",
    "step",
    "kernel",
    "items",
    "microseconds",
    "clock",
    "gflops",
    "gbytes_per_s",
    "of_peak",
    "of_bandwidth",
    "floor_microseconds",
];

const GROWTH: [&str; 8] = ["kind", "engine", "min_face", "pyramid_pixels", "ms", "fixed_ms", "ns_per_pixel", "worst"];

#[test]
fn text_tells_settings_and_ends_with_a_verdict_and_charts_are_written() {
    let scratch = scratch();
    let args = ["--device", "cpu", "--size", "60x40", "--min-face", "20,40", "--starts", "0", "--chart", "charts/here"];
    let ended = bench(&scratch, &[&args[..], &["a.png"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in [
        "factor 0.709, thresholds 0.6 0.7 0.7",
        "3 in flight",
        "1 a recording",
        "p99",
        "60x40",
        "cells",
        "x 16 (CPU)",
        "x 99 (GPU)",
        "of 2 settings",
    ] {
        assert!(ended.stdout.contains(text), "{text:?} is missing:\n{}", ended.stdout);
    }
    let verdicts = ended.stdout.matches("  faster\n").count() + ended.stdout.matches("  SLOWER\n").count();
    assert_eq!(verdicts, 2, "a verdict per setting:\n{}", ended.stdout);
    for name in ["fps", "latency"] {
        let svg = fs::read_to_string(scratch.path(&format!("charts/here/{name}.svg"))).unwrap();
        for text in ["<svg", "the paper on a GPU", "the paper on a CPU", "60x40", "20 px", "CPU ("] {
            assert!(svg.contains(text), "{name}.svg has no {text:?}");
        }
        let png = image::open(scratch.path(&format!("charts/here/{name}.png"))).unwrap();
        assert!(png.width() >= 600 && png.height() >= 400, "{} x {}", png.width(), png.height());
    }
    // A file where the directory should be.
    let ended = bench(&scratch, &[&args[..8], &["--chart", "a.png", "a.png"]].concat());
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("a.png"), "{}", ended.stderr);
}

#[test]
fn the_synthetic_scene_needs_no_image() {
    let scratch = scratch();
    let ended = bench(&scratch, &["--device", "cpu", "--size", "160x120", "--min-face", "40", "--starts", "0", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(kinds(&ended)["setting"][0]["source"], "synthetic scene");
}

#[test]
fn table1_sets_every_net_beside_the_papers_figures() {
    let scratch = Scratch::new();
    let args = ["bench", "table1", "--device", "cpu", "--batch", "1,2", "--passes", "2", "--warm-up", "0"];
    let ended = scratch.run(&[&args[..], &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let kinds = kinds(&ended);
    let rows = &kinds["table1"];
    assert_eq!((kinds["machine"].len(), rows.len()), (1, 16));
    for (row, batch) in rows.iter().zip([1, 2].iter().flat_map(|batch| [batch; 8])) {
        keys(row, &TABLE1);
        assert_eq!((&row["batch"], &row["passes"]), (&(*batch).into(), &2.into()));
        let (ratio, rival) = (positive(&row["times_ours"]), row["rival"] == true);
        assert!(rival || ratio == 1.0, "{row}");
        positive(&row["seconds"]);
    }
    // The paper's Table 1: seconds of 300 passes.
    let said: Vec<_> = rows[..8].iter().map(|row| (row["net"].as_str().unwrap(), row["paper"]["seconds"].as_f64())).collect();
    let want = [
        ("12-Net", Some(0.041)),
        ("P-Net", Some(0.033)),
        ("24-Net alone", None),
        ("24-Net with 12-Net", Some(0.745)),
        ("R-Net", Some(0.512)),
        ("48-Net alone", None),
        ("48-Net with 24-Net", Some(3.602)),
        ("O-Net", Some(1.352)),
    ];
    assert_eq!(said, want);
    let text = scratch.run(&args).stdout;
    for (net, _) in want {
        assert_eq!(text.matches(&format!("  {net} ")).count(), 2, "{net}:\n{text}");
    }
    assert!(text.contains("batch of 1\n") && text.contains("batch of 2\n") && text.contains("original paper"), "{text}");
}

const TABLE1: [&str; 16] = [
    "kind",
    "engine",
    "adapter",
    "threads",
    "group",
    "net",
    "rival",
    "parameters",
    "multiply_adds",
    "batch",
    "passes",
    "seconds",
    "times_ours",
    "paper",
    "original",
    "accuracy",
];
