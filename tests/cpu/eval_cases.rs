//! What people really feed `mtcmcn eval` and `train`, through the real binary: other formats, names that are
//! alike, sets of many detections.

use std::fmt::Write as _;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

use image::RgbImage;
use serde_json::json;

use crate::cli::{Ended, Scratch};
use crate::cli_faces;
use crate::data::{f32s, names, npy, npz};

/// Runs with at most `kib` KiB of memory, by the shell.
#[cfg(target_os = "linux")]
pub fn limited(scratch: &Scratch, kib: u64, args: &str) -> Ended {
    let script = format!("ulimit -v {kib}; exec \"$0\" {args}");
    Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_mtcmcn")]).current_dir(scratch.path("")).output().unwrap().into()
}

/// As many images, faces and detections as the validation set of WIDER FACE with 200 detections an image.
#[cfg(target_os = "linux")]
#[test]
fn an_evaluation_of_many_detections_needs_memory_for_them_alone() {
    let scratch = Scratch::new();
    let (mut truth, mut found, mut ellipses, mut out) = (String::new(), String::new(), String::new(), String::new());
    for image in 0..3226 {
        let _ = write!(truth, "e/{image}.jpg\n12\n");
        let _ = write!(ellipses, "e/{image}\n12\n");
        for face in 0..12 {
            let _ = writeln!(truth, "{} 10 30 40 0 0 0 0 0 0", face * 60);
            let _ = writeln!(ellipses, "20 15 1.57 {} 30 1", face * 60 + 15);
        }
        let _ = write!(found, "{{\"path\":\"e/{image}.jpg\",\"faces\":[");
        let _ = write!(out, "e/{image}\n200\n");
        for face in 0..200 {
            let (x, y, score) = (face % 20 * 60, face / 20 * 50, 1.0 - f64::from(face) / 300.0 - f64::from(image) * 1e-7);
            let comma = if face > 0 { "," } else { "" };
            let _ = write!(found, "{comma}{{\"box\":[{x},{y},{},{}],\"score\":{score}}}", x + 30, y + 40);
            let _ = writeln!(out, "{x} {y} 30 40 {score}");
        }
        found += "]}\n";
    }
    scratch.write("truth.txt", truth.as_bytes());
    scratch.write("found.ndjson", found.as_bytes());
    scratch.write("FDDB-fold-01-ellipseList.txt", ellipses.as_bytes());
    scratch.write("fold-01-out.txt", out.as_bytes());
    for command in ["eval wider truth.txt --detections found.ndjson", "eval boxes truth.txt --detections found.ndjson"] {
        let began = Instant::now();
        let ended = limited(&scratch, 1_000_000, &format!("{command} --json"));
        assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr);
        assert!(began.elapsed().as_secs() < 60, "{command} took {:?}", began.elapsed());
        assert_eq!(ended.objects()[0]["counts"], json!({"images": 3226, "faces": 38_712, "detections": 645_200}));
    }
    let ended = limited(&scratch, 1_000_000, "eval fddb FDDB-fold-01-ellipseList.txt --detections fold-01-out.txt --json");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn boxes(scratch: &Scratch, args: &[&str]) -> Ended {
    scratch.run(&[&["eval", "boxes"], args, &["--json"]].concat())
}

/// Average precision over all faces.
fn precision(ended: &Ended) -> f64 {
    let objects = ended.objects();
    objects.first().unwrap_or_else(|| panic!("{}", ended.stderr))["rows"][0]["ap_50"].as_f64().unwrap()
}

const FACE: &str = r#"{"box":[89,28,135,87],"score":0.9}"#;

fn line(path: &str, face: &str) -> String {
    format!("{{\"path\":{path:?},\"faces\":[{face}]}}\n")
}

#[test]
fn of_names_that_are_alike_the_exact_one_wins() {
    let scratch = Scratch::new();
    let (right, wrong) = (FACE, r#"{"box":[0,0,9,9],"score":0.9}"#);
    for (truth, found) in [
        ("zz.jpg", [("zz.bmp", wrong), ("zz.jpg", right)]),
        ("zz.jpg", [("/photos/zz.png", wrong), ("/photos/zz.jpg", right)]),
        ("a/zz.jpg", [("b/zz.jpg", wrong), ("./a\\zz.jpg", right)]),
    ] {
        scratch.write("truth.txt", format!("{truth}\n1\n89 28 46 59\n").as_bytes());
        scratch.write("found.ndjson", found.map(|(path, face)| line(path, face)).concat().as_bytes());
        let ended = boxes(&scratch, &["truth.txt", "--detections", "found.ndjson"]);
        assert_eq!((ended.code, precision(&ended)), (Some(0), 1.0), "{found:?}: {}", ended.stderr);
        // The other one is of no annotated image: one line, and no failure.
        assert!(ended.stderr.lines().count() == 1 && ended.stderr.contains("is not among the annotated images"), "{}", ended.stderr);
    }
    // Where both are annotated, each has its own.
    scratch.write("truth.txt", b"zz.bmp\n0\nzz.jpg\n1\n89 28 46 59\n");
    scratch.write("found.ndjson", [line("p/zz.bmp", ""), line("p/zz.jpg", right)].concat().as_bytes());
    let ended = boxes(&scratch, &["truth.txt", "--detections", "found.ndjson"]);
    assert_eq!((ended.code, ended.stderr.as_str(), precision(&ended)), (Some(0), "", 1.0));
    // And so of embeddings, and of FDDB's lists.
    let embedded =
        npz(&[("names", names(&["a.bmp", "a.jpg", "b.jpg"])), ("embeddings", npy("<f4", "3, 2", &f32s(&[0.0, 1.0, 1.0, 0.0, 1.0, 0.0])))]);
    scratch.write("e.npz", &embedded);
    scratch.write("pairs.txt", b"a.jpg b.jpg 1\na.bmp b.jpg -1\n");
    let ended = scratch.run(&["eval", "verify", "pairs.txt", "--form", "agedb", "--embeddings", "e.npz", "--json"]);
    assert_eq!(ended.objects()[0]["counts"]["compared"], 2, "{}", ended.stderr);
    scratch.write("f-ellipseList.txt", b"zz\n1\n30 20 1.5707963 60 50 1\n");
    scratch.write("fold-01-out.txt", b"zz.jpg\n0\nzz\n1\n40 20 40 60 0.9\n");
    let ended = scratch.run(&["eval", "fddb", "f-ellipseList.txt", "--detections", "fold-01-out.txt", "--json"]);
    assert_eq!((ended.code, &ended.objects()[0]["counts"]["detections"]), (Some(0), &1.into()), "{}", ended.stderr);
}

#[test]
fn images_outside_the_set_are_counted_in_one_line() {
    let scratch = Scratch::new();
    scratch.write("truth.txt", b"a.jpg\n1\n89 28 46 59\n");
    let others: String = (0..50).map(|other| line(&format!("other/{other}.jpg"), FACE)).collect();
    scratch.write("found.ndjson", (line("a.jpg", FACE) + &others).as_bytes());
    let ended = boxes(&scratch, &["truth.txt", "--detections", "found.ndjson"]);
    assert_eq!((ended.code, precision(&ended)), (Some(0), 1.0));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("\"other/0.jpg\" and 49 more of 51 images are not among the annotated ones"), "{}", ended.stderr);
    let lists = [&b""[..], b"\n\n", b"a.jpg\n3\n1 2 3 4\n"];
    for list in lists {
        scratch.write("empty.txt", list);
        let ended = boxes(&scratch, &["empty.txt", "--detections", "found.ndjson"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""));
        assert!(ended.stderr.contains("empty.txt names no image that could be used"), "{}", ended.stderr);
    }
    assert!(boxes(&scratch, &["empty.txt", "--detections", "found.ndjson"]).stderr.contains("empty.txt:2: 3 face(s) promised"));
}

#[test]
fn kept_results_are_of_the_files_as_they_are_and_serve_several_runs_at_once() {
    let scratch = cli_faces::scratch();
    scratch.write("truth.txt", b"a.png\n1\n0 0 3 3\nb.png\n0\n");
    let args = |folder: &str| {
        let common = [
            "eval",
            "boxes",
            "truth.txt",
            "--weights",
            "noise.safetensors",
            "--device",
            "cpu",
            "--thresholds",
            "0,0,0",
            "--max-faces",
            "4",
        ];
        let own = ["--keep", "kept.ndjson", "--json", "--images", folder];
        common.iter().chain(&own).map(|arg| (*arg).to_owned()).collect::<Vec<String>>()
    };
    let run = |folder: &str| scratch.run(&args(folder).iter().map(String::as_str).collect::<Vec<_>>());
    let whole = run(".");
    assert_eq!((whole.code, whole.stderr.as_str()), (Some(0), ""));
    // Another picture under the same name, then the same names in another folder.
    RgbImage::new(90, 70).save(scratch.path("a.png")).unwrap();
    let changed = run(".");
    assert!(
        changed.code == Some(0) && changed.stderr.contains("1 result(s) are of images in another folder, or changed"),
        "{}",
        changed.stderr
    );
    assert_eq!(fs::read_to_string(scratch.path("kept.ndjson")).unwrap().matches("\"width\":90").count(), 1);
    fs::create_dir(scratch.path("copy")).unwrap();
    for name in ["a.png", "b.png"] {
        fs::copy(scratch.path(name), scratch.path("copy").join(name)).unwrap();
    }
    assert!(run("copy").stderr.contains("2 result(s)"));
    // Three at once: each whole, and the file has every image once.
    fs::remove_file(scratch.path("kept.ndjson")).unwrap();
    let arguments = args(".");
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let running: Vec<_> =
        (0..3).map(|_| scratch.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()).collect();
    let all: Vec<Ended> = running.into_iter().map(|child| child.wait_with_output().unwrap().into()).collect();
    for ended in &all {
        assert_eq!((ended.code, &ended.objects()[0]["rows"]), (Some(0), &all[0].objects()[0]["rows"]), "{}", ended.stderr);
    }
    assert_eq!(fs::read_to_string(scratch.path("kept.ndjson")).unwrap().lines().count(), 2);
    assert_eq!(run(".").stderr, "");
}

#[test]
fn landmarks_are_measured_at_the_overlap_of_the_table() {
    let scratch = Scratch::new();
    scratch.write("list.txt", b"a.jpg 0 40 0 40 10 10 30 10 20 20 12 30 28 30\n");
    let found = r#"{"path":"a.jpg","faces":[{"box":[0,-40,40,40],"score":1,"landmarks":[[10,10],[30,10],[20,20],[12,30],[28,30]]}]}"#;
    scratch.write("found.ndjson", (found.to_owned() + "\n").as_bytes());
    let ended = scratch.run(&["eval", "aflw", "list.txt", "--detections", "found.ndjson", "--json"]);
    let object = &ended.objects()[0];
    assert_eq!(object["counts"]["misses"], 0, "half of the box overlaps: {object}");
    assert!(object["notes"].to_string().contains("IoU 0.3"), "{object}");
}

/// Reads `list`, which is or holds `files`: annotations of one face at (89, 28) of 46 x 59 px in `name`.
fn annotated(what: &str, name: &str, list: &str, files: &[(&str, &str)], faults: Option<&str>) {
    let scratch = Scratch::new();
    scratch.image("images/a.png", 168, 208);
    for (path, text) in files {
        scratch.write(path, text.as_bytes());
    }
    scratch.write("found.ndjson", line(name, FACE).as_bytes());
    let ended = boxes(&scratch, &[list, "--detections", "found.ndjson"]);
    assert_eq!(precision(&ended), 1.0, "{what}: {} {}", ended.stdout, ended.stderr);
    match faults {
        None => assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{what}"),
        Some(fault) => assert!(ended.stderr.contains(fault), "{what}: {}", ended.stderr),
    }
}

#[test]
fn annotations_are_read_in_the_forms_that_people_have() {
    let coco = json!({
        "images": [{"id": 1, "file_name": "a.png", "width": 168, "height": 208}, {"id": "x", "file_name": "b.png"}],
        "categories": [{"id": 1, "name": "face"}, {"id": 2, "name": "person"}, {"id": 3, "name": "kite"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [89, 28, 46, 59], "iscrowd": 0},
            {"image_id": 1, "category_id": 2, "bbox": [0, 0, 168, 208]},
            {"image_id": 1, "category_id": 3, "bbox": [0, 0, 8, 8]},
        ],
    });
    let voc = |object: &str| {
        format!(
            "<?xml version=\"1.0\"?>\n<annotation><filename>a.png</filename><object><name>face</name><bndbox><xmin>89</xmin><ymin>28</ymin><xmax>135</xmax><ymax>87</ymax></bndbox></object>{object}</annotation>"
        )
    };
    let head = "<object><name>person</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>150</xmax><ymax>150</ymax></bndbox></object>";
    let labelme = json!({"imagePath": "..\\a.png", "shapes": [
        {"label": "face", "points": [[89.0, 28.0], [135.0, 87.0]], "shape_type": "rectangle"},
        {"label": "head", "points": [[80.0, 20.0], [160.0, 20.0], [100.0, 120.0]], "shape_type": "polygon"},
    ]});
    let [x, y, w, h] = [112.0 / 168.0, 57.5 / 208.0, 46.0 / 168.0, 59.0 / 208.0];
    let retina = "# 0--Parade/a.jpg\n89 28 46 59 102.2 48.05 0.0 123.0 50.2 0.0 112.0 62.0 0.0 100.0 69.0 0.0 122.4 71.1 0.0 0.89\n";
    annotated("RetinaFace", "0--Parade/a.jpg", "label.txt", &[("label.txt", retina)], None);
    annotated("a name of numbers", "2019 12 25 18.jpg", "n.txt", &[("n.txt", "2019 12 25 18.jpg\n1\n89 28 46 59\n")], None);
    let numbers = "1 2 3 4\n0\n7 8 9 10\n1\n89 28 46 59\n";
    annotated("numbers alone", "7 8 9 10", "n.txt", &[("n.txt", numbers)], Some("says nothing about \"1 2 3 4\""));
    annotated("Windows", "x/a.jpg", "w.txt", &[("w.txt", "x\\a.jpg\r\n1\r\n89 28 46 59\r\n")], None);
    annotated("COCO", "a.png", "coco.json", &[("coco.json", &coco.to_string())], Some("1 object(s) of class \"kite\""));
    annotated("Pascal VOC", "a.png", "a.xml", &[("a.xml", &voc(""))], None);
    annotated("a folder of VOC, heads as regions", "s/a.png", "voc", &[("voc/s/a.xml", &voc(head))], None);
    annotated("labelme", "../a.png", "a.json", &[("a.json", &labelme.to_string())], None);
    let yolo = format!("0 {x} {y} {w} {h}\n");
    let scratch = Scratch::new();
    scratch.image("images/a.png", 168, 208);
    scratch.write("labels/a.txt", yolo.as_bytes());
    scratch.write("found.ndjson", line("a.png", FACE).as_bytes());
    let ended = boxes(&scratch, &["labels", "--images", "images", "--detections", "found.ndjson"]);
    assert_eq!((ended.code, ended.stderr.as_str(), precision(&ended)), (Some(0), "", 1.0));
    scratch.write("labels/b.txt", yolo.as_bytes());
    let ended = boxes(&scratch, &["labels", "--images", "images", "--detections", "found.ndjson"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("labels/b.txt: the size of its picture"), "{}", ended.stderr);
}

/// `count` points of a face, of which those that make up the five lie where the list of `CNN_FacePoint` would
/// have them.
fn many_points(count: usize) -> Vec<[f64; 2]> {
    let (eyes, single) = match count {
        49 => ([19..=24, 25..=30], [13, 31, 37]),
        68 => ([36..=41, 42..=47], [30, 48, 54]),
        _ => ([60..=67, 68..=75], [54, 76, 82]),
    };
    let mut points = vec![[0.0, 0.0]; count];
    for (eye, x) in eyes.into_iter().zip([10.0, 30.0]) {
        // Around the middle, which is what counts.
        eye.enumerate().for_each(|(place, at)| points[at] = [x + if place % 2 == 0 { 3.0 } else { -3.0 }, 10.0]);
    }
    for (at, point) in single.into_iter().zip([[20.0, 20.0], [12.0, 30.0], [28.0, 30.0]]) {
        points[at] = point;
    }
    points
}

#[test]
fn many_points_are_reduced_to_five_by_the_rule() {
    let found = r#"{"path":"a.jpg","faces":[{"box":[0,0,40,40],"score":1,"landmarks":[[10,10],[30,10],[20,20],[12,30],[28,30]]}]}"#;
    for count in [49, 68, 98] {
        let scratch = Scratch::new();
        scratch.write("found.ndjson", (found.to_owned() + "\n").as_bytes());
        let points = many_points(count);
        let (list, form) = if count == 98 {
            let numbers: Vec<String> = points.iter().flatten().map(ToString::to_string).collect();
            scratch.write("list.txt", format!("{} 0 0 40 40 0 0 0 0 0 0 a.jpg\n", numbers.join(" ")).as_bytes());
            ("list.txt", "wflw")
        } else {
            let rows: String = points.iter().map(|[x, y]| format!("{x} {y}\n")).collect();
            scratch.write("pts/a.pts", format!("version: 1\nn_points: {count}\n{{\n{rows}}}\n").as_bytes());
            ("pts", "pts")
        };
        let ended = scratch.run(&["eval", "aflw", list, "--form", form, "--detections", "found.ndjson", "--json"]);
        assert_eq!(ended.code, Some(0), "{count}: {}", ended.stderr);
        let error = ended.objects()[0]["rows"][0]["value"].as_f64().unwrap();
        assert!(error < 1e-6, "{count}: {error}");
    }
}

#[test]
fn celeba_may_be_csv_and_points_of_aligned_pictures_are_refused() {
    let scratch = Scratch::new();
    for number in 1..=3 {
        scratch.image(&format!("img/{number}.jpg"), 200, 200);
    }
    let boxes: String = (1..=3).map(|number| format!("{number}.jpg,40,40,100,120\n")).collect();
    let points: String = (1..=3).map(|number| format!("{number}.jpg,70,80,110,80,90,100,75,120,105,120\n")).collect();
    scratch.write("list_bbox_celeba.csv", format!("image_id,x_1,y_1,width,height\n{boxes}").as_bytes());
    let landmarks = format!(
        "image_id,lefteye_x,lefteye_y,righteye_x,righteye_y,nose_x,nose_y,leftmouth_x,leftmouth_y,rightmouth_x,rightmouth_y\n{points}"
    );
    scratch.write("list_landmarks_celeba.csv", landmarks.as_bytes());
    scratch.write("list_landmarks_align_celeba.csv", landmarks.as_bytes());
    let prepare = |landmarks: &str| {
        let sources = format!(
            "data.sources=[{{format='celeba', annotations='list_bbox_celeba.csv', landmarks='{landmarks}', images='img', learn=['faces','landmarks','negatives']}}]"
        );
        scratch.run(&["train", "prepare", "pnet", "--out", "p.shard", "--device", "cpu", "--set", &sources])
    };
    let ended = prepare("list_landmarks_celeba.csv");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("skipped"), "{}", ended.stderr);
    let ended = prepare("list_landmarks_align_celeba.csv");
    assert!(ended.code == Some(2) && ended.stderr.contains("aligned pictures"), "{}", ended.stderr);
}

#[test]
fn training_says_why_no_line_is_of_use_and_names_pictures_it_cannot_read() {
    let scratch = Scratch::new();
    scratch.write("bad.txt", b"a.jpg\n2\n1 2 3 4\nb.jpg\nmany\n");
    let ended = scratch.run(&[
        "train",
        "prepare",
        "pnet",
        "--out",
        "p.shard",
        "--device",
        "cpu",
        "--set",
        "data.sources=[{format='wider', annotations='bad.txt'}]",
    ]);
    assert_eq!(ended.code, Some(2));
    for part in ["bad.txt", "names no image that could be used", "2 face(s) promised", "\"many\" is not the number of faces"] {
        assert!(ended.stderr.contains(part), "no {part:?} in {}", ended.stderr);
    }
    scratch.image("photos/a.png", 120, 120);
    scratch.write("photos/b.heic", include_bytes!("../fixtures/portrait.heic"));
    let sources = "data.sources=[{format='folder', annotations='photos', learn=['negatives']}]";
    let ended = scratch.run(&["train", "prepare", "pnet", "--out", "p.shard", "--device", "cpu", "--set", sources]);
    assert!(cfg!(feature = "heic") || ended.stderr.contains("b.heic"), "{}", ended.stderr);
    // RetinaFace's list, where WIDER FACE's is expected.
    scratch.image("images/0--Parade/a.png", 168, 208);
    scratch.write("label.txt", b"# 0--Parade/a.png\n89 28 46 59 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 -1 1.0\n");
    let sources = "data.sources=[{format='wider', annotations='label.txt', images='images'}]";
    let ended = scratch.run(&["train", "prepare", "pnet", "--out", "p.shard", "--device", "cpu", "--set", sources]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
