//! What people really feed `mtcmcn detect`, through the real binary with its own weights: formats, damage,
//! pages, pictures on their side, files that are in the way. The face is that of `assets/portrait.png`.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};
use mtcmcn::picture::turn::turned;
use serde_json::Value;

use crate::cli::{Ended, Scratch};

const AVIF: &[u8] = include_bytes!("../fixtures/portrait.avif");
const HEIC: &[u8] = include_bytes!("../fixtures/portrait.heic");
/// The portrait by libjpeg-turbo's `cjpeg -quality 85`, with `-progressive -optimize` and with `-restart 4B`.
const JPEG_FORMS: [(&str, &[u8]); 2] = [
    ("progressive", include_bytes!("../fixtures/portrait_progressive.jpg")),
    ("restart", include_bytes!("../fixtures/portrait_restart.jpg")),
];

/// Columns and rows of the portrait.
pub const SIZE: [u32; 2] = [168, 208];

pub fn portrait() -> RgbImage {
    image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/portrait.png")).unwrap().into_rgb8()
}

pub fn encoded(image: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(image.clone()).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn detect(scratch: &Scratch, args: &[&str]) -> Ended {
    scratch.run(&[&["detect", "--device", "cpu"], args].concat())
}

/// The box of the only face of `object`, which lies as that of the portrait.
pub fn face(object: &Value) -> [f64; 4] {
    let faces = object["faces"].as_array().unwrap_or_else(|| panic!("{object}"));
    assert_eq!(faces.len(), 1, "{object}");
    let edges: Vec<f64> = faces[0]["box"].as_array().unwrap().iter().map(|edge| edge.as_f64().unwrap()).collect();
    edges.try_into().unwrap()
}

pub fn assert_near(got: [f64; 4], want: [f64; 4], by: f64) {
    assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() <= by), "{got:?} is not {want:?}");
}

/// Where the face is.
fn truth(scratch: &Scratch) -> [f64; 4] {
    scratch.write("truth.png", &encoded(&portrait(), ImageFormat::Png));
    face(&detect(scratch, &["truth.png", "--json"]).objects()[0])
}

#[test]
fn pictures_of_every_kind_in_a_folder_are_searched_or_named() {
    let scratch = Scratch::new();
    let truth = truth(&scratch);
    scratch.write("d/a.avif", AVIF);
    scratch.write("d/b.heic", HEIC);
    scratch.write("d/c.jxl", b"\xff\x0a no more");
    scratch.write("d/d.psd", b"8BPS\0\x01");
    scratch.write("d/e", AVIF); // told by its content
    scratch.write("d/f.avif", &AVIF[..AVIF.len() / 2]);
    scratch.write("d/g.txt", b"BM is how this text begins");
    scratch.write("d/h.cr2", b"II*\0 raw");
    let ended = detect(&scratch, &["d", "--json"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let objects = ended.objects();
    let paths: Vec<&str> = objects.iter().map(|object| object["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["d/a.avif", "d/b.heic", "d/c.jxl", "d/d.psd", "d/e", "d/f.avif", "d/h.cr2"]);
    for at in [0, 4] {
        assert_near(face(&objects[at]), truth, 4.0);
    }
    let error = |at: usize| objects[at]["error"].as_str().unwrap_or_default();
    if cfg!(feature = "heic") {
        assert_near(face(&objects[1]), truth, 4.0);
    } else {
        assert!(error(1).contains("HEIC") && error(1).contains("--features heic"), "{}", error(1));
    }
    assert!(error(2).contains("JPEG XL") && error(3).contains("Photoshop"), "{} {}", error(2), error(3));
    assert!(!error(5).is_empty() && !error(6).is_empty());
}

#[test]
fn damaged_avif_is_an_error_and_never_a_panic() {
    let scratch = Scratch::new();
    let mut names = Vec::new();
    for (number, at) in (0..AVIF.len()).step_by(AVIF.len() / 40).enumerate() {
        let mut damaged = AVIF.to_vec();
        damaged[at] ^= 0xff;
        names.push(format!("{number:02}.avif"));
        scratch.write(&names[number], &damaged);
    }
    let ended = detect(&scratch, &[&names.iter().map(String::as_str).collect::<Vec<_>>()[..], &["--json"]].concat());
    assert_eq!(ended.objects().len(), names.len());
    let bomb = detect(&scratch, &["00.avif", "--max-pixels", "0.001"]);
    assert_eq!(bomb.code, Some(2));
}

#[test]
fn a_jpeg_without_its_end_marker_is_whole_and_one_that_is_cut_is_not() {
    let scratch = Scratch::new();
    let jpeg = encoded(&portrait(), ImageFormat::Jpeg);
    assert!(jpeg.ends_with(&[0xff, 0xd9]));
    scratch.write("whole.jpg", &jpeg);
    scratch.write("no_end.jpg", &jpeg[..jpeg.len() - 2]);
    scratch.write("half_an_end.jpg", &jpeg[..jpeg.len() - 1]);
    for (name, share) in [("half.jpg", 50), ("most.jpg", 97)] {
        scratch.write(name, &jpeg[..jpeg.len() * share / 100]);
    }
    let whole = detect(&scratch, &["whole.jpg", "--json"]);
    assert_eq!(whole.stderr, "");
    for name in ["no_end.jpg", "half_an_end.jpg"] {
        let ended = detect(&scratch, &[name, "--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.objects()[0]["faces"], whole.objects()[0]["faces"]);
        assert!(ended.stderr.contains("end marker is missing"), "{}", ended.stderr);
    }
    for name in ["half.jpg", "most.jpg"] {
        detect(&scratch, &[name]).refused(&["the file ends before the image does"]);
        let lenient = detect(&scratch, &[name, "--lenient", "--json"]);
        assert!(lenient.code != Some(2) && lenient.stderr.contains("cut off"), "{name}: {}", lenient.stderr);
        assert_eq!(lenient.objects()[0]["height"], SIZE[1]);
    }
    assert_eq!(detect(&scratch, &["most.jpg", "--lenient"]).code, Some(0), "the face is above what is missing");
}

#[test]
fn jpegs_with_several_scans_or_restart_markers_end_like_any_other() {
    let scratch = Scratch::new();
    let truth = truth(&scratch);
    for (form, jpeg) in JPEG_FORMS {
        let name = |cut: &str| format!("{form}_{cut}.jpg");
        for (cut, length) in [("whole", jpeg.len()), ("no_end", jpeg.len() - 2), ("half", jpeg.len() / 2)] {
            scratch.write(&name(cut), &jpeg[..length]);
        }
        let whole = detect(&scratch, &[&name("whole"), "--json"]);
        assert_eq!((whole.code, &whole.stderr[..]), (Some(0), ""), "{form}");
        assert_near(face(&whole.objects()[0]), truth, 4.0);
        let ended = detect(&scratch, &[&name("no_end"), "--json"]);
        assert_eq!(ended.code, Some(0), "{form}: {}", ended.stderr);
        assert_eq!(ended.objects()[0]["faces"], whole.objects()[0]["faces"], "{form}");
        assert!(ended.stderr.contains("end marker is missing"), "{form}: {}", ended.stderr);
        detect(&scratch, &[&name("half")]).refused(&["the file ends before the image does"]);
    }
}

#[test]
fn faces_on_their_side_and_upside_down_are_found_where_they_are() {
    let scratch = Scratch::new();
    let [x1, y1, x2, y2] = truth(&scratch);
    let [width, height] = SIZE.map(f64::from);
    let portrait = portrait();
    for (name, picture, want) in [
        ("90.png", imageops::rotate90(&portrait), [height - y2, x1, height - y1, x2]),
        ("180.png", imageops::rotate180(&portrait), [width - x2, height - y2, width - x1, height - y1]),
        ("270.png", imageops::rotate270(&portrait), [y1, width - x2, y2, width - x1]),
    ] {
        picture.save(scratch.path(name)).unwrap();
        for rotate in ["auto", "0,90,180,270"] {
            let ended = detect(&scratch, &[name, "--json", "--rotate", rotate]);
            assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
            assert_near(face(&ended.objects()[0]), want, 1e-3);
        }
    }
    assert_eq!(detect(&scratch, &["180.png"]).code, Some(1), "not without being asked to");
    // The crop of a face that is upside down is upright.
    detect(&scratch, &["180.png", "--rotate", "auto", "--crops", "out"]);
    let [crop, upright] = [("out/180_1.png", "180.png"), ("up/truth_1.png", "truth.png")].map(|(file, input)| {
        if !scratch.path(file).exists() {
            detect(&scratch, &[input, "--crops", "up"]);
        }
        image::open(scratch.path(file)).unwrap().into_rgb8()
    });
    let differing = crop.pixels().zip(upright.pixels()).filter(|(a, b)| a.0[0].abs_diff(b.0[0]) > 40).count();
    assert!(differing < 112 * 112 / 20, "{differing} pixels differ");
    assert_eq!(scratch.run(&["detect", "180.png", "--rotate", "sideways"]).code, Some(2));
}

#[test]
fn faces_between_quarter_turns_are_found_with_angles_between() {
    let scratch = Scratch::new();
    let frame = mtcmcn::picture::decode::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/portrait.png"), 1 << 20).unwrap();
    for (name, degrees) in [("45.png", 45.0), ("230.png", 230.0)] {
        let turned = turned(&frame, degrees).frame;
        let rgb = RgbImage::from_fn(turned.width(), turned.height(), |x, y| {
            let at = ((y * turned.width() + x) * 4) as usize;
            Rgb([turned.rgba()[at], turned.rgba()[at + 1], turned.rgba()[at + 2]])
        });
        rgb.save(scratch.path(name)).unwrap();
        let ended = detect(&scratch, &[name, "--json", "--rotate", "0,45,90,135,180,225,270,315"]);
        assert_eq!(ended.code, Some(0), "{name}: {}", ended.stderr);
        let [x1, y1, x2, y2] = face(&ended.objects()[0]);
        // The middle of the face is near the middle of the picture, however it is turned.
        let off = ((x1 + x2) / 2.0 - f64::from(turned.width()) / 2.0).hypot((y1 + y2) / 2.0 - f64::from(turned.height()) / 2.0);
        assert!(off < 40.0, "{name}: {off}");
    }
}

#[test]
fn a_picture_or_a_list_with_zero_bytes_comes_by_standard_input() {
    let scratch = Scratch::new();
    let truth = truth(&scratch);
    for format in [ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::Png] {
        let ended = scratch.run_with_stdin(&["detect", "--device", "cpu", "-", "--json"], &encoded(&portrait(), format));
        assert_eq!(ended.code, Some(0), "{format:?}: {}", ended.stderr);
        assert_eq!(ended.objects()[0]["path"], "-");
        assert_near(face(&ended.objects()[0]), truth, 4.0);
    }
    fs::copy(scratch.path("truth.png"), scratch.path("a\nb.png")).unwrap();
    let ended = scratch.run_with_stdin(&["detect", "--device", "cpu", "-", "--json"], b"a\nb.png\0lost.png\0");
    assert_eq!((ended.code, ended.objects().len()), (Some(2), 2), "{}", ended.stderr);
    assert_eq!(ended.objects()[0]["path"], "a\nb.png");
}

#[test]
fn devices_that_are_none_are_plain_errors_and_the_engine_is_told() {
    let scratch = Scratch::new();
    truth(&scratch);
    for (device, told) in [("", "must not be empty"), ("  ", "must not be empty"), ("metal", "macOS"), ("dx12", "Windows")] {
        if (device == "metal" && cfg!(target_vendor = "apple")) || (device == "dx12" && cfg!(windows)) {
            continue;
        }
        let ended = scratch.run(&["detect", "truth.png", "--device", device]);
        assert!(ended.code == Some(2) && ended.stderr.contains(told), "{device:?}: {}", ended.stderr);
    }
    let object = &detect(&scratch, &["truth.png", "--json"]).objects()[0];
    assert!(object["engine"].as_str().is_some_and(|engine| engine.starts_with("CPU (")), "{object}");
    assert!(object.get("adapter").is_none());
}

#[test]
fn files_of_others_are_never_replaced_and_what_is_written_is_told() {
    let scratch = Scratch::new();
    scratch.write("ph/ivan.jpg", &encoded(&portrait(), ImageFormat::Jpeg));
    scratch.write("ph/ivan.png", b"somebody's own");
    scratch.write("out/ivan_1.png", &encoded(&RgbImage::new(3, 3), ImageFormat::Png));
    let args = ["ph/ivan.jpg", "--annotate", "ph", "--crops", "out", "--json"];
    for run in 0..2 {
        let ended = detect(&scratch, &args);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let object = &ended.objects()[0];
        assert_eq!((&object["annotated"], &object["crops"][0]), (&"ph/ivan-2.png".into(), &"out/ivan_1-2.png".into()));
        // Only the second run has any from before.
        assert_eq!(ended.stderr.contains("--crops out: holds 1 picture(s) of an earlier run"), run == 1, "{}", ended.stderr);
    }
    assert_eq!(fs::read(scratch.path("ph/ivan.png")).unwrap(), b"somebody's own");
    assert_eq!(image::image_dimensions(scratch.path("out/ivan_1.png")).unwrap(), (3, 3));
    let table = detect(&scratch, &["ph/ivan.jpg", "--annotate", "ph", "--crops", "out"]);
    assert!(table.stdout.contains("ph/ivan.jpg -> ph/ivan-2.png, out/ivan_1-2.png\n"), "{}", table.stdout);
}

#[test]
fn crops_have_the_size_and_margin_that_are_asked_for() {
    let scratch = Scratch::new();
    truth(&scratch);
    for (args, side) in [
        (&["--crop-size", "160"][..], Some(160)),
        (&["--crop-size", "64", "--crop-margin", "0.25", "--unaligned"], Some(64)),
        (&["--unaligned"], None),
        (&["--crop-margin", "0.5"], Some(112)),
    ] {
        let out = format!("out{}", args.join(""));
        let ended = detect(&scratch, &[&["truth.png", "--crops", &out], args].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let (width, height) = image::image_dimensions(scratch.path(&format!("{out}/truth_1.png"))).unwrap();
        assert!(width == height && side.is_none_or(|side| side == width) && width > 50, "{args:?}: {width} x {height}");
    }
    for args in [&["--crop-size", "0"][..], &["--crop-margin", "-1"], &["--crop-margin", "nan"]] {
        assert_eq!(scratch.run(&[&["detect", "truth.png", "--crops", "x"], args].concat()).code, Some(2), "{args:?}");
    }
    assert_eq!(scratch.run(&["detect", "truth.png", "--unaligned"]).code, Some(2), "there are no crops to be so");
}

#[cfg(target_os = "linux")]
#[test]
fn names_as_long_as_they_may_be_are_written() {
    let scratch = Scratch::new();
    let name = format!("{}.png", "n".repeat(251));
    scratch.write(&name, &encoded(&portrait(), ImageFormat::Png));
    let ended = detect(&scratch, &[&name, "--crops", "out", "--annotate", "out", "--json"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let object = &ended.objects()[0];
    for file in [&object["annotated"], &object["crops"][0]] {
        assert!(scratch.path(file.as_str().unwrap()).is_file(), "{object}");
    }
    // A file of that name itself, by way of a name of its own beside it.
    let out = format!("{}.safetensors", "w".repeat(243));
    mtcmcn::Weights::builtin().save(scratch.path("own.safetensors")).unwrap();
    assert_eq!(scratch.run(&["import", "own.safetensors", "--out", &out]).code, Some(0));
}

/// Files in `folder` that nobody asked for.
fn leftovers(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with('.')).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn nothing_half_written_stays_after_a_signal_or_a_file_size_limit() {
    use std::os::unix::process::ExitStatusExt as _;
    use std::time::Duration;
    let scratch = Scratch::new();
    scratch.write("a.png", &encoded(&imageops::resize(&portrait(), 1600, 2000, imageops::FilterType::Triangle), ImageFormat::Png));
    scratch.write("list", "a.png\n".repeat(500).as_bytes());
    fs::create_dir(scratch.path("out")).unwrap();
    for (signal, number) in [("INT", 2), ("TERM", 15)] {
        for wait in [700, 1500, 2100] {
            let args = ["detect", "--device", "cpu", "--min-face", "400", "--list", "list", "--annotate", "out", "--quiet"];
            let mut child = scratch.command(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(wait));
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(number));
            assert_eq!(leftovers(&scratch.path("out")), Vec::<String>::new());
        }
    }
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 16; exec \"$0\" detect --device cpu a.png --annotate small", env!("CARGO_BIN_EXE_mtcmcn")])
        .current_dir(scratch.path(""))
        .output()
        .unwrap();
    let ended = Ended::from(limited);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("small/a.png") && ended.stderr.contains("too large"), "{}", ended.stderr);
    assert_eq!(leftovers(&scratch.path("small")), Vec::<String>::new());
}

#[cfg(target_os = "linux")]
#[test]
fn paths_that_are_no_text_survive_in_every_output() {
    use std::os::unix::ffi::OsStrExt as _;
    let scratch = Scratch::new();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    fs::write(scratch.path("").join(name), encoded(&portrait(), ImageFormat::Png)).unwrap();
    let run = |args: &[&str]| scratch.command(&[&["detect", "--device", "cpu"], args].concat()).arg(name).output().unwrap();
    let json: Value = serde_json::from_slice(&run(&["--json", "--crops", "out"]).stdout).unwrap();
    assert_eq!(json["path_base64"], "Y2Fm6S5wbmc=");
    assert!(scratch.path("out").join(std::ffi::OsStr::from_bytes(b"caf\xe9_1.png")).is_file());
    let csv = run(&["--csv"]).stdout;
    assert!(csv.windows(9).any(|window| window == b"\ncaf\xe9.png"), "{}", String::from_utf8_lossy(&csv));
    assert!(String::from_utf8(run(&[]).stdout).unwrap().ends_with("  caf\\xE9.png\n"));
}
