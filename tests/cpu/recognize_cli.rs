//! `import` of an ONNX model, `embed` and `verify` through the real binary. The recogniser is a small net of
//! noise: which faces it takes for one person means nothing, but all of it must be reported alike.

use std::path::Path;

use serde_json::Value;

use crate::cli::Scratch;
use crate::onnx_models::bytes;

const SHOWN: [&str; 6] = ["--colours", "bgr", "--mean", "0.5", "--deviation", "0.5,0.25,0.5"];

/// A directory with a recogniser, a photo of one face, its mirror image, and a picture without a face.
fn files() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("net.onnx", &bytes("mobile21.onnx"));
    let face = image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/portrait.png")).unwrap().into_rgb8();
    face.save(scratch.path("a.png")).unwrap();
    image::imageops::flip_horizontal(&face).save(scratch.path("b.png")).unwrap();
    scratch.image("none.png", 60, 50);
    let imported = scratch.run(&[&["import", "net.onnx", "--out", "net.safetensors", "--json"][..], &SHOWN].concat());
    assert_eq!((imported.code, imported.stderr.as_str()), (Some(0), ""));
    let summary = &imported.objects()[0];
    assert_eq!((&summary["metadata"]["format"], &summary["metadata"]["source"]), (&"onnx".into(), &"net.onnx".into()));
    assert_eq!(summary["parameters"], 3 * 8 * 9 + 8 + 8 * 9 + 8 + 8 * 8 + 8 + 8 * 16 + 8 + 8 * 7 + 7);
    scratch
}

fn with_net<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [args, &["--recognizer", "net.safetensors", "--device", "cpu"]].concat()
}

#[test]
fn faces_are_embedded_and_the_archive_holds_what_is_printed() {
    let scratch = files();
    let ended = scratch.run(&with_net(&["embed", "a.png", "none.png", "gone.png", "b.png", "--json", "--out", "e.npz"]));
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(2), 1), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("mtcmcn: gone.png: "), "{}", ended.stderr);
    let objects = ended.objects();
    assert_eq!(
        objects.iter().map(|object| object["path"].as_str().unwrap()).collect::<Vec<_>>(),
        ["a.png", "none.png", "gone.png", "b.png"]
    );
    assert!(objects[1]["faces"].as_array().unwrap().is_empty() && objects[2]["error"].is_string());
    let vector =
        |object: &Value| object["faces"][0]["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect::<Vec<_>>();
    for object in [&objects[0], &objects[3]] {
        let vector = vector(object);
        let length: f64 = vector.iter().map(|x| x * x).sum();
        assert!(vector.len() == 7 && (length - 1.0).abs() < 1e-5, "{vector:?}");
        assert_eq!(object["faces"].as_array().unwrap().len(), 1);
    }
    // The same face as detect finds, and the same pair of crops for a picture and its mirror image, but for
    // where its landmarks are found.
    let detected = scratch.run(&["detect", "a.png", "--json", "--device", "cpu"]).objects().remove(0);
    assert_eq!(detected["faces"][0]["box"], objects[0]["faces"][0]["box"]);
    let cosine: f64 = vector(&objects[0]).iter().zip(vector(&objects[3])).map(|(a, b)| a * b).sum();
    assert!(cosine > 0.9, "{cosine}");
    let mut faults = mtcmcn::data::Faults::strict();
    let read = mtcmcn::data::embeddings::read(&scratch.path("e.npz"), &mut faults).unwrap();
    assert_eq!((read.len(), read.dimension), (2, 7));
    let kept = read.of("b.png").unwrap();
    assert!(kept.iter().zip(vector(&objects[3])).all(|(kept, printed)| (f64::from(*kept) - printed).abs() < 1e-6));
}

#[test]
fn verify_tells_by_exit_code_whether_two_photos_show_one_person() {
    let scratch = files();
    let same = scratch.run(&with_net(&["verify", "a.png", "a.png", "--threshold", "0.99"]));
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""));
    assert!(same.stdout.starts_with("the same person: cosine 1.0000, threshold 0.99"), "{}", same.stdout);
    let json = scratch.run(&with_net(&["verify", "a.png", "b.png", "--threshold", "1", "--json"]));
    assert_eq!((json.code, &json.objects()[0]["same"]), (Some(1), &false.into()));
    scratch.run(&with_net(&["verify", "a.png", "b.png"])).refused(&["give --threshold COSINE"]);
    scratch.run(&with_net(&["verify", "a.png", "none.png", "--threshold", "0.5"])).refused(&["none.png: no face"]);
    scratch.run(&["verify", "a.png", "b.png", "--threshold", "0.5"]).refused(&["MTCMCN_RECOGNIZER"]);
    let mut command = scratch.command(&["verify", "a.png", "a.png", "--threshold", "0.5", "--device", "cpu"]);
    let by_variable = command.env("MTCMCN_RECOGNIZER", scratch.path("net.safetensors")).output().unwrap();
    assert_eq!(by_variable.status.code(), Some(0));
}

#[test]
fn pairs_are_verified_from_photos() {
    let scratch = files();
    for (from, to) in [("a.png", "A/A_0001.png"), ("b.png", "A/A_0002.png"), ("none.png", "B/B_0001.png")] {
        let bytes = std::fs::read(scratch.path(from)).unwrap();
        scratch.write(to, &bytes);
    }
    scratch.write("pairs.txt", b"2\t1\nA\t1\t2\nA\t1\tB\t1\nA\t2\t1\nB\t1\tC\t1\n");
    let ended = scratch.run(&with_net(&["eval", "verify", "pairs.txt", "--images", ".", "--json"]));
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let figures = &ended.objects()[0];
    let counts = ["pairs", "compared", "images", "without a face"].map(|key| figures["counts"][key].clone());
    assert_eq!(counts, [4, 3, 3, 1].map(Value::from), "{figures}");
    assert!(ended.stderr.contains("C/C_0001") && ended.stderr.contains("no face found in \"B/B_0001\""), "{}", ended.stderr);
}

#[test]
fn what_is_no_recogniser_is_refused() {
    let scratch = files();
    scratch.run(&["import", "net.onnx", "--out", "x"]).refused(&["give --colours, --mean and --deviation"]);
    let cut = &bytes("mobile21.onnx")[..2000];
    scratch.write("cut.onnx", cut);
    scratch.run(&[&["import", "cut.onnx", "--out", "x"][..], &SHOWN].concat()).refused(&["ONNX data damaged"]);
    assert!(!scratch.path("x").exists());
    scratch.write("empty.onnx", b"");
    scratch.run(&[&["import", "empty.onnx", "--out", "x"][..], &SHOWN].concat()).refused(&["no graph"]);
    mtcmcn::Weights::builtin().save(scratch.path("detector.safetensors")).unwrap();
    scratch.run(&["embed", "a.png", "--json", "--recognizer", "detector.safetensors", "--device", "cpu"]).refused(&["hold no graph"]);
    scratch.run(&["embed", "a.png", "--json", "--recognizer", "gone", "--device", "cpu"]).refused(&["cannot read \"gone\""]);
}
