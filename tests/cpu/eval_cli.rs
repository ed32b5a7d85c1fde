//! `mtcmcn eval` through the real binary: figures from files, faults by file and line, resuming, reports.

use std::fs;

use serde_json::{Value, json};

use crate::cli::{Ended, Scratch};
use crate::cli_faces;
use crate::data::{f32s, names, npy, npz};

/// Two images with three faces, of which one is heavily occluded and one flagged invalid.
const TRUTH: &str = "x/a.jpg
3
10 10 20 20 0 0 0 0 0 0
50 10 40 40 0 0 0 0 2 0
200 10 40 40 0 0 0 1 0 0
x/b.jpg
0
0 0 0 0 0 0 0 0 0 0
";

/// All faces are found, including the invalid one, with a false alarm among them.
const FOUND: &str = r#"{"path":"x/a.jpg","width":300,"height":200,"faces":[{"box":[10,10,30,30],"score":0.9},{"box":[200,10,240,50],"score":0.88},{"box":[50,10,90,50],"score":0.8}]}
{"path":"x/b.jpg","faces":[{"box":[0,0,20,20],"score":0.85}]}
"#;

fn files() -> Scratch {
    let scratch = Scratch::new();
    scratch.write("truth.txt", TRUTH.as_bytes());
    scratch.write("found.ndjson", FOUND.as_bytes());
    scratch
}

/// Returns the JSON object printed by a run without faults.
fn figures(ended: &Ended) -> Value {
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{}", ended.stdout);
    let objects = ended.objects();
    assert_eq!(objects.len(), 1);
    objects[0].clone()
}

fn row<'a>(figures: &'a Value, part: &str) -> &'a Value {
    figures["rows"].as_array().unwrap().iter().find(|row| row["part"] == part).unwrap_or_else(|| panic!("no row {part:?} in {figures}"))
}

fn assert_near(value: &Value, want: f64) {
    let within = (value.as_f64().unwrap_or(f64::NAN) - want).abs() < 1e-12;
    assert!(within, "{value} is not {want}");
}

#[test]
fn boxes_are_scored_from_json_lines_and_from_a_tree_alike() {
    let scratch = files();
    let found = scratch.run(&["eval", "boxes", "truth.txt", "--detections", "found.ndjson", "--json", "--iou", "0.5,0.3", "--plot", "p"]);
    let figures = figures(&found);
    let all = row(&figures, "all");
    assert_eq!(all["faces"], 2);
    // Recall and precision are (1/2, 1), (1/2, 1/2), (1, 2/3).
    assert_near(&all["ap_50"], 0.5 + 0.5 * 2.0 / 3.0);
    assert_near(&all["ap_30"], 0.5 + 0.5 * 2.0 / 3.0);
    assert_near(&all["recall_at_0"], 0.5);
    assert_near(&all["recall_at_10"], 1.0);
    assert_eq!(row(&figures, "under 32 px high")["faces"], 1);
    assert_near(&row(&figures, "32 to 96 px high")["ap_50"], 1.0);
    assert_near(&row(&figures, "heavily occluded")["ap_50"], 0.5);
    assert_eq!(figures["counts"], json!({"images": 2, "faces": 3, "detections": 4}));
    assert_eq!(figures["detections"], "detections of found.ndjson");
    for name in ["precision_recall.svg", "precision_recall.png"] {
        assert!(fs::metadata(scratch.path("p").join(name)).unwrap().len() > 1000, "{name}");
    }
    // The official folder structure written by `eval wider`, when read again, gives the same figures.
    let wider = |source: &[&str]| scratch.run(&[&["eval", "wider", "truth.txt", "--json"], source].concat());
    let first = wider(&["--detections", "found.ndjson", "--official", "tree"]);
    assert!(fs::read_to_string(scratch.path("tree/x/a.txt")).unwrap().starts_with("a\n3\n10 10 20 20 0.9\n"));
    let second = wider(&["--detections", "tree"]);
    assert_eq!(self::figures(&first)["rows"], self::figures(&second)["rows"]);
}

#[test]
fn wider_face_counts_the_flagged_face_neither_way() {
    let scratch = files();
    let figures = figures(&scratch.run(&["eval", "wider", "truth.txt", "--detections", "found.ndjson", "--json"]));
    // Image b has no face, so by the protocol's rule its false alarm does not count.
    assert_eq!(row(&figures, "all"), &json!({"part": "all", "faces": 2, "ap": 1.0}));
}

#[test]
fn fddb_reads_and_writes_the_official_forms() {
    let scratch = Scratch::new();
    scratch.write("FDDB-fold-01-ellipseList.txt", b"2002/a\n1\n30 20 1.5707963 60 50  1\n2002/b\n1\n30 20 0.3 60 50  1\n");
    scratch.write("FDDB-fold-02-ellipseList.txt", b"2003/c\n2\n10 8 1.5 200 50  1\n12 9 1.5 20 20  1\n");
    scratch.write("det/fold-01-out.txt", b"2002/a\n1\n40 20 40 60 0.9\n2002/b\n1\n300 300 40 40 0.8\n");
    scratch.write("det/fold-02-out.txt", b"2003/c\n2\n10 8 1.5 200 50 0.7\n190 40 20 20 0.3\n");
    scratch.write("MTCNN_DiscROC.txt", b"0.9 100 0.5\n0.1 0 0.9\n");
    let run = |detections: &str, out: &str| scratch.run(&["eval", "fddb", ".", "--detections", detections, "--official", out, "--json"]);
    let first = figures(&run("det", "out"));
    assert_eq!(first["counts"], json!({"images": 3, "faces": 4, "detections": 4, "false positives at most": 2}));
    assert_near(&row(&first, "discrete")["rate_at_100"], 0.5);
    let notes = first["notes"].to_string();
    assert!(notes.contains("size of 3 images is not known") && notes.contains("ends at 2 false positives"), "{notes}");
    let names: Vec<&str> =
        first["curves"]["discrete_roc"]["series"].as_array().unwrap().iter().map(|series| series["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["measured", "MTCNN, published points", "MTCNN"]);
    // Columns are rate, false positives, threshold; the lowest threshold comes first, as in the official
    // program.
    let curve = fs::read_to_string(scratch.path("out/DiscROC.txt")).unwrap();
    assert_eq!(curve.lines().collect::<Vec<_>>(), ["0.5 2 0.3", "0.5 1 0.7", "0.25 1 0.8", "0.25 0 0.9"]);
    assert_eq!(figures(&run("out", "again"))["rows"], first["rows"]);
    for name in ["fold-01-out.txt", "fold-02-out.txt", "DiscROC.txt", "ContROC.txt"] {
        assert_eq!(fs::read(scratch.path("out").join(name)).unwrap(), fs::read(scratch.path("again").join(name)).unwrap(), "{name}");
    }
}

#[test]
fn landmarks_are_compared_over_the_distance_of_the_eyes() {
    let scratch = Scratch::new();
    scratch.write("list.txt", b"a.jpg 0 40 0 40 10 10 30 10 20 20 12 30 28 30\nb.jpg 0 40 0 40 10 10 30 10 20 20 12 30 28 30\n");
    let found = r#"{"path":"a.jpg","faces":[{"box":[0,0,40,40],"score":1,"landmarks":[[10,12],[30,12],[20,22],[12,32],[28,32]]}]}
{"path":"b.jpg","faces":[]}
"#;
    scratch.write("found.ndjson", found.as_bytes());
    let figures = figures(&scratch.run(&["eval", "aflw", "list.txt", "--detections", "found.ndjson", "--json"]));
    for (part, want) in [("mean error", 0.1), ("nose", 0.1)] {
        let within = (row(&figures, part)["value"].as_f64().unwrap() - want).abs() < 1e-7;
        assert!(within, "{figures}");
    }
    assert_eq!((&row(&figures, "faces")["value"], &row(&figures, "misses")["value"]), (&json!(2), &json!(1)));
}

#[test]
fn aflw_is_read_from_its_database() {
    let scratch = Scratch::new();
    scratch.write("aflw.sqlite", include_bytes!("../fixtures/aflw.sqlite"));
    scratch.write("none.ndjson", b"{\"path\":\"none.jpg\",\"faces\":[]}\n");
    let ended = scratch.run(&["eval", "aflw", "aflw.sqlite", "--detections", "none.ndjson", "--json"]);
    let figures = &ended.objects()[0];
    let (faces, misses) = (&row(figures, "faces")["value"], &row(figures, "misses")["value"]);
    assert!(faces.as_u64().unwrap() > 0 && faces == misses, "{figures}");
    assert_eq!(ended.code, Some(2), "faces of the database are left out: {}", ended.stderr);
    assert!(ended.stderr.contains("none.ndjson:1: \"none.jpg\" is not among the annotated images"), "{}", ended.stderr);
}

#[test]
fn verification_takes_every_form_of_pairs() {
    let scratch = Scratch::new();
    let (mut lfw, mut calfw, mut agedb) = ("10\t1\n".to_owned(), [String::new(), String::new()], String::new());
    let (mut called, mut values) = (Vec::new(), Vec::new());
    for fold in 0..10 {
        lfw += &format!("P{fold}\t1\t2\nP{fold}\t1\tQ{fold}\t1\n");
        agedb += &format!("P{fold}_0001.jpg P{fold}_0002.jpg 1\nP{fold}_0001.jpg Q{fold}_0001.jpg -1\n");
        calfw[0] += &format!("P{fold}_0001.jpg 1\nP{fold}_0002.jpg 1\n");
        calfw[1] += &format!("P{fold}_0001.jpg 0\nQ{fold}_0001.jpg 0\n");
        for (name, vector) in [(format!("P{fold}/P{fold}_0001"), [3.0, 0.1]), (format!("P{fold}/P{fold}_0002"), [2.0, 0.0])] {
            called.push(name);
            values.extend(vector);
        }
        called.push(format!("Q{fold}/Q{fold}_0001"));
        // In one fold the two persons have similar embeddings.
        values.extend(if fold == 4 { [1.0, 0.01] } else { [0.0, 1.0] });
    }
    let called: Vec<&str> = called.iter().map(String::as_str).collect();
    scratch.write("e.npz", &npz(&[("names", names(&called)), ("embeddings", npy("<f4", "30, 2", &f32s(&values)))]));
    scratch.write("pairs.txt", lfw.as_bytes());
    scratch.write("calfw.txt", calfw.concat().as_bytes());
    scratch.write("agedb.txt", agedb.as_bytes());
    let run = |args: &[&str]| scratch.run(&[&["eval", "verify", "--embeddings", "e.npz", "--json"], args].concat());
    let want = figures(&run(&["pairs.txt"]));
    assert_near(&row(&want, "accuracy")["mean"], 0.95);
    assert_near(&row(&want, "accuracy")["deviation"], 0.15);
    assert_near(&row(&want, "area under the ROC")["mean"], 0.9);
    assert_eq!(want["counts"], json!({"pairs": 20, "compared": 20, "folds": 10}));
    for args in [&["agedb.txt", "--form", "agedb"], &["calfw.txt", "--form", "calfw"]] {
        assert_eq!(figures(&run(args))["rows"], want["rows"], "{args:?}");
    }
    // A pair without an embedding is reported by its line. CACD-VS has no list, so no pair is left.
    scratch.write("more.txt", lfw.replace("P7\t1\t2\n", "P7\t1\t3\n").as_bytes());
    let ended = run(&["more.txt"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("more.txt:16: no embedding of \"P7/P7_0003\" in e.npz: pair skipped"), "{}", ended.stderr);
    let ended = run(&["--form", "cacd-vs"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
    assert!(ended.stderr.contains("no pair of CACD-VS has both its embeddings in e.npz"), "{}", ended.stderr);
}

/// Checks the messages about a faulty `truth` or `found`, by file and line, with a valid file in the other
/// place.
fn complaints(truth: &[u8], found: &[u8], wants: &[&str]) {
    let scratch = files();
    scratch.write("truth.txt", truth);
    scratch.write("found.ndjson", found);
    let args = ["eval", "boxes", "truth.txt", "--detections", "found.ndjson", "--json"];
    let ended = scratch.run(&args);
    for want in wants {
        assert!(ended.stderr.contains(want), "no {want:?} in {}", ended.stderr);
    }
    assert_eq!(ended.stderr.lines().count(), wants.len(), "{}", ended.stderr);
    let faults = &ended.objects()[0]["faults"];
    assert_eq!(faults["skipped"].as_u64().unwrap() + faults["noted"].as_u64().unwrap(), wants.len() as u64);
    assert_eq!(ended.code, Some(if faults["skipped"] == 0 { 0 } else { 2 }));
    let strict = scratch.run(&[&args[..], &["--strict"]].concat());
    assert_eq!((strict.code, strict.stdout.as_str()), (Some(2), ""));
    assert!(strict.stderr.contains(wants[0]) && strict.stderr.contains("--strict"), "{}", strict.stderr);
}

#[test]
fn what_is_wrong_in_annotations_is_named_by_file_and_line() {
    let with = |from: &str, to: &str| TRUTH.replacen(from, to, 1).into_bytes();
    let found = FOUND.as_bytes();
    complaints(&with("10 10 20 20 0", "10 10 -20 20 0"), found, &["truth.txt:3: a box of -20 x 20 has no area: face skipped"]);
    complaints(&with("50 10 40 40 0", "50 10 NaN 40 0"), found, &["truth.txt:4: NaN is not within"]);
    let lost = "\"x/a.jpg\" is not among the annotated images";
    complaints(&with("\n3\n", "\n2\n"), found, &["truth.txt:2: 2 face(s) promised for \"x/a.jpg\", 3 row(s) follow", lost]);
    complaints(&with("\n3\n", "\nthree\n"), found, &["truth.txt:2: \"three\" is not the number of faces", "truth.txt:2", lost]);
    complaints(&with("x/b.jpg", "x/a.jpg"), found, &["truth.txt:6: \"x/a.jpg\" was there already at line 1", "\"x/b.jpg\" is not among"]);
}

#[test]
fn what_is_wrong_in_detections_is_named_by_file_and_line() {
    let with = |from: &str, to: &str| FOUND.replacen(from, to, 1).into_bytes();
    let truth = TRUTH.as_bytes();
    complaints(truth, &with("[10,10,30,30]", "[30,10,10,30]"), &["found.ndjson:1: a box from (30, 10) to (10, 30) has no area"]);
    let silent = "says nothing about \"x/a.jpg\": taken as an image without detections";
    complaints(truth, &with("0.9", "NaN"), &["found.ndjson:1: not the detections of an image", silent]);
    complaints(truth, &with("0.9", "0.1"), &["found.ndjson:1: detections are not sorted by score: sorted"]);
    complaints(truth, &with("x/b.jpg", "x/a.jpg"), &["found.ndjson:2: \"x/a.jpg\" was there already at line 1", "about \"x/b.jpg\""]);
    complaints(truth, &with("x/b.jpg", "x/c.jpg"), &["about \"x/b.jpg\"", "found.ndjson:2: \"x/c.jpg\" is not among"]);
}

#[test]
fn line_ends_do_not_matter_and_an_empty_file_of_detections_is_told() {
    let scratch = files();
    let args = ["eval", "boxes", "truth.txt", "--detections", "found.ndjson", "--json"];
    let want = figures(&scratch.run(&args));
    scratch.write("truth.txt", format!("\u{feff}{}", TRUTH.replace('\n', "\r\n")).as_bytes());
    scratch.write("found.ndjson", format!("\u{feff}{}", FOUND.replace('\n', "\r\n")).as_bytes());
    assert_eq!(figures(&scratch.run(&args)), want);
    scratch.write("found.ndjson", b"");
    let ended = scratch.run(&args);
    assert!(ended.stderr.contains("found.ndjson: is empty"), "{}", ended.stderr);
    scratch.write("found.txt", b"x/a.jpg 1 2 3\n");
    let ended = scratch.run(&["eval", "boxes", "truth.txt", "--detections", "found.txt"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("found.txt is neither JSON lines nor a directory"), "{}", ended.stderr);
    for missing in ["truth.txt", "found.ndjson"] {
        let scratch = files();
        fs::remove_file(scratch.path(missing)).unwrap();
        let ended = scratch.run(&args);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains(missing), "{}", ended.stderr);
    }
}

/// Runs the search on the images of [`cli_faces::scratch`] with its noise weights; each image has four faces.
fn search(scratch: &Scratch, args: &[&str]) -> Ended {
    let common =
        ["eval", "boxes", "truth.txt", "--images", ".", "--weights", "noise.safetensors", "--device", "cpu", "--thresholds", "0,0,0"];
    scratch.run(&[&common[..], &["--max-faces", "4"], args].concat())
}

fn searchable() -> Scratch {
    let scratch = cli_faces::scratch();
    scratch.write("truth.txt", b"a.png\n1\n0 0 3 3 0 0 0 0 0 0\nb.png\n0\n0 0 0 0 0 0 0 0 0 0\nsub/a.png\n1\n0 0 3 3 0 0 0 0 0 0\n");
    scratch
}

#[test]
fn finished_images_are_not_searched_again() {
    let scratch = searchable();
    let whole = figures(&search(&scratch, &["--json"]));
    assert_eq!(whole["counts"]["detections"], 12);
    for part in ["setting", "weights", "engine", "version"] {
        assert!(whole.to_string().contains(part), "{part}");
    }
    let kept = figures(&search(&scratch, &["--json", "--keep", "kept.ndjson"]));
    assert_eq!(kept, whole);
    // The run was killed while it wrote the third image: two are complete, and the resumed run completes the
    // file.
    let text = fs::read_to_string(scratch.path("kept.ndjson")).unwrap();
    let half = text.trim_end().rfind('\n').unwrap() + 40;
    scratch.write("kept.ndjson", &text.as_bytes()[..half]);
    for gone in ["a.png", "b.png"] {
        fs::remove_file(scratch.path(gone)).unwrap();
    }
    assert_eq!(figures(&search(&scratch, &["--json", "--keep", "kept.ndjson"])), whole);
    assert_eq!(fs::read_to_string(scratch.path("kept.ndjson")).unwrap(), text);
    // The file is also a valid file of detections, and states how it was made.
    let again = figures(&scratch.run(&["eval", "boxes", "truth.txt", "--detections", "kept.ndjson", "--json"]));
    assert_eq!((&again["rows"], &again["setting"]), (&whole["rows"], &whole["setting"]));
    // Other settings are refused, and so is a foreign file.
    let other = search(&scratch, &["--keep", "kept.ndjson", "--min-face", "24"]);
    assert_eq!((other.code, other.stdout.as_str()), (Some(2), ""));
    assert!(other.stderr.contains("line 1 has min face 20 and not 24") && other.stderr.contains("--redo"), "{}", other.stderr);
    let other = search(&scratch, &["--keep", "truth.txt"]);
    assert!(other.code == Some(2) && other.stderr.contains("line 1 was not written by mtcmcn eval"), "{}", other.stderr);
    assert!(fs::read_to_string(scratch.path("truth.txt")).unwrap().starts_with("a.png"));
}

#[test]
fn an_image_that_is_missing_is_named_and_counts_as_one_without_detections() {
    let scratch = searchable();
    fs::remove_file(scratch.path("b.png")).unwrap();
    let ended = search(&scratch, &["--json"]);
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("truth.txt:4: \"b.png\" cannot be searched"), "{}", ended.stderr);
    assert_eq!(ended.objects()[0]["counts"]["detections"], 8);
}

#[test]
fn a_report_holds_everything_in_one_file() {
    let scratch = searchable();
    let ended = search(&scratch, &["--report", "report", "--examples", "2"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let entries: Vec<_> = fs::read_dir(scratch.path("report")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(entries, ["index.html"]);
    let page = fs::read_to_string(scratch.path("report/index.html")).unwrap();
    assert_eq!(page.matches("<figure>").count(), 4, "two faces missed and two false alarms");
    assert!(page.matches("data:image/jpeg;base64,").count() >= 2, "the faces lie in their images");
    for part in ["<svg", "Largest faces missed", "Surest false alarms", "weights ", "AP at 0.5", "a.png"] {
        assert!(page.contains(part), "{part}");
    }
    for outside in ["src=\"http", "href=\"http", "<script", "url(http"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn one_command_makes_the_table() {
    let scratch = searchable();
    for (from, to) in [("a.png", "cmu_mit/images/a.png"), ("b.png", "wider_style/val/images/b.png"), ("sub/a.png", "facepoint/val/c.png")] {
        fs::create_dir_all(scratch.path(to).parent().unwrap()).unwrap();
        fs::rename(scratch.path(from), scratch.path(to)).unwrap();
    }
    scratch.write("cmu_mit/cmu_mit_bbx_gt.txt", b"a.png\n1\n10 10 20 20\n");
    scratch.write("wider_style/val/wider_face_val_bbx_gt.txt", b"b.png\n0\n0 0 0 0 0 0 0 0 0 0\n");
    scratch.write("facepoint/val/imageList.txt", b"c.png 0 40 0 40 10 10 30 10 20 20 12 30 28 30\n");
    let run = |more: &[&str]| {
        scratch.run(&[&["eval", "table", "--data", ".", "--device", "cpu", "--weights", "noise.safetensors"], more].concat())
    };
    let table = run(&[]);
    assert_eq!((table.code, table.stderr.as_str()), (Some(0), ""));
    for part in
        ["| set | measure | mtcmcn (", " | noise (", "| cmu_mit, 1 face | AP at IoU 0.3 |", "| facepoint/val | faces missed | 1 |", "CPU"]
    {
        assert!(table.stdout.contains(part), "no {part:?} in {}", table.stdout);
    }
    let object = &run(&["--json"]).objects()[0];
    assert_eq!(object["rows"].as_array().unwrap().len(), 6);
}
