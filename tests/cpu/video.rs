//! The real binary on videos that ffmpeg makes here: whole, cut, of odd size, without a video track, long;
//! and with an ffmpeg that is missing or killed.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use image::{RgbImage, imageops};
use serde_json::Value;

use crate::cli::Scratch;

const NEEDS: &str = "this test needs ffmpeg; on Debian: apt-get install ffmpeg";

/// The portrait's face, moving over a grey ground of `width x height`, frame by frame.
fn moving_portrait(width: u32, height: u32, count: usize) -> impl Iterator<Item = RgbImage> {
    let portrait = image::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/astronaut.png")).unwrap().into_rgb8();
    let side = width.min(height) * 3 / 4;
    let portrait = imageops::crop_imm(&portrait, 130, 20, 190, 190).to_image();
    let portrait = imageops::resize(&portrait, side, side, imageops::FilterType::Triangle);
    (0..count).map(move |n| {
        let turn = std::f64::consts::TAU * n as f64 / 100.0;
        let along = |room: u32, wave: f64| ((0.5 + 0.5 * wave) * f64::from(room)).round() as i64;
        let mut frame = RgbImage::from_pixel(width, height, image::Rgb([90, 100, 110]));
        imageops::replace(&mut frame, &portrait, along(width - side, turn.sin()), along(height - side, (2.0 * turn).cos()));
        frame
    })
}

fn ffmpeg(scratch: &Scratch, args: &[&str], stdin: impl Iterator<Item = RgbImage>) {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-y"]).args(args).current_dir(scratch.path("."));
    let mut child = command.stdin(Stdio::piped()).spawn().expect(NEEDS);
    let mut pipe = child.stdin.take().unwrap();
    for frame in stdin {
        pipe.write_all(frame.as_raw()).unwrap();
    }
    drop(pipe);
    assert!(child.wait().unwrap().success(), "{args:?}");
}

/// A film without loss, 25 frames a second.
fn film(scratch: &Scratch, name: &str, [width, height]: [u32; 2], count: usize) {
    let size = format!("{width}x{height}");
    let args = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &size, "-r", "25", "-i", "pipe:0", "-c:v", "ffv1", "-pix_fmt", "bgr0", name];
    ffmpeg(scratch, &args, moving_portrait(width, height, count));
}

const DETECT: [&str; 6] = ["detect", "--device", "cpu", "--min-face", "30", "--json"];

#[test]
fn a_film_has_the_faces_of_its_pictures_and_one_track() {
    let scratch = Scratch::new();
    let size = [160, 121];
    film(&scratch, "film.mkv", size, 300);
    fs::create_dir(scratch.path("frames")).unwrap();
    for (n, frame) in moving_portrait(size[0], size[1], 300).enumerate() {
        frame.save(scratch.path(&format!("frames/{n:03}.png"))).unwrap();
    }
    let of_film = scratch.run(&[&DETECT[..], &["film.mkv"]].concat());
    let of_pictures = scratch.run(&[&DETECT[..], &["frames"]].concat());
    assert_eq!((of_film.code, of_film.stderr.as_str(), of_pictures.code), (Some(0), "", Some(0)));
    let (frames, pictures) = (of_film.objects(), of_pictures.objects());
    assert_eq!((frames.len(), pictures.len()), (300, 300));
    for (n, (frame, picture)) in frames.iter().zip(&pictures).enumerate() {
        assert_eq!((&frame["faces"], &frame["width"], &frame["height"]), (&picture["faces"], &160.into(), &121.into()), "frame {n}");
        assert_eq!((frame["faces"].as_array().unwrap().len(), &frame["tracks"]), (1, &serde_json::json!([1])), "frame {n}");
        assert_eq!((&frame["path"], &frame["frame"]), (&"film.mkv".into(), &(n + 1).into()));
        assert!((frame["seconds"].as_f64().unwrap() - n as f64 / 25.0).abs() < 1e-6, "{frame}");
    }
    // Every seventh of these frames, with its own number and time, and the face's.
    let sevenths = scratch.run(&[&DETECT[..], &["film.mkv", "--every", "7"]].concat()).objects();
    let expected: Vec<&Value> = frames.iter().step_by(7).collect();
    assert_eq!(sevenths.iter().collect::<Vec<_>>(), expected);
}

#[test]
fn a_film_that_is_cut_short_keeps_what_was_found_and_the_others_are_searched() {
    let scratch = Scratch::new();
    film(&scratch, "film.mkv", [120, 90], 60);
    let whole = fs::read(scratch.path("film.mkv")).unwrap();
    scratch.write("cut.mkv", &whole[..whole.len() / 2]);
    scratch.write("stub.mp4", &whole[..40]);
    scratch.image("empty.png", 30, 30);
    ffmpeg(&scratch, &["-f", "lavfi", "-i", "sine=duration=1", "sound.mkv"], std::iter::empty());
    let ended = scratch.run(&[&DETECT[..], &["cut.mkv", "stub.mp4", "sound.mkv", "lost.mp4", "empty.png"]].concat());
    assert_eq!(ended.code, Some(2));
    let objects = ended.objects();
    let of = |path: &str| objects.iter().filter(|object| object["path"] == path).collect::<Vec<_>>();
    let (last, frames) =
        of("cut.mkv").split_last().map(|(last, frames)| (last["error"].as_str().unwrap().to_owned(), frames.to_vec())).unwrap();
    assert!((10..60).contains(&frames.len()), "{} frames", frames.len());
    assert!(frames.iter().all(|frame| frame["tracks"] == serde_json::json!([1])));
    assert!(last.contains(&format!("{} frames were read", frames.len())) && last.contains("ended prematurely"), "{last}");
    assert_eq!(of("sound.mkv")[0]["error"], "ffmpeg cannot read it: it has no video track");
    assert!(of("stub.mp4")[0]["error"].as_str().unwrap().starts_with("ffmpeg cannot read it: "), "{objects:?}");
    assert!(of("lost.mp4")[0]["error"].as_str().unwrap().contains("o such file"), "{objects:?}");
    assert_eq!(of("empty.png")[0]["faces"], serde_json::json!([]));
    assert_eq!(ended.stderr.lines().count(), 4, "{}", ended.stderr);
    assert!(ended.stderr.lines().all(|line| line.starts_with("mtcmcn: ")), "{}", ended.stderr);
}

#[test]
fn columns_pictures_and_crops_tell_the_frame() {
    let scratch = Scratch::new();
    film(&scratch, "film.mkv", [120, 90], 3);
    let args = ["detect", "--device", "cpu", "--min-face", "30", "--annotate", "out", "--crops", "out", "film.mkv"];
    let table = scratch.run(&args);
    assert_eq!((table.code, table.stdout.lines().count()), (Some(0), 4));
    assert!(table.stdout.lines().nth(3).unwrap().contains("  film.mkv [3, 0.080 s] track 1 -> "), "{}", table.stdout);
    let mut written: Vec<_> = fs::read_dir(scratch.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    written.sort();
    assert_eq!(written, ["film.1.png", "film.1_1.png", "film.2.png", "film.2_1.png", "film.3.png", "film.3_1.png"]);
    let csv = scratch.run(&["detect", "--device", "cpu", "--min-face", "30", "--csv", "film.mkv", "out/film.1.png"]);
    let ends: Vec<&str> = csv.stdout.lines().map(|line| line.rsplitn(4, ',').last().map_or("", |start| &line[start.len()..])).collect();
    assert_eq!(ends, [",frame,seconds,track", ",1,0,1", ",2,0.04,1", ",3,0.08,1", ",,,"]);
}

#[test]
fn a_missing_ffmpeg_is_said_and_pictures_are_searched() {
    let scratch = Scratch::new();
    scratch.image("empty.png", 30, 30);
    let mut command = scratch.command(&[&DETECT[..], &["film.mp4", "rtsp://127.0.0.1:9/x", "camera:7", "empty.png"]].concat());
    let ended: crate::cli::Ended = command.env("PATH", scratch.path("nothing")).output().unwrap().into();
    assert_eq!(ended.code, Some(2));
    let objects = ended.objects();
    assert_eq!(objects.len(), 4, "{}", ended.stdout);
    // A file that is not there needs no ffmpeg to be told.
    assert!(objects[0]["error"].as_str().unwrap().contains("o such file"), "{objects:?}");
    for object in &objects[1..3] {
        assert!(object["error"].as_str().unwrap().contains("install it"), "{object}");
    }
    assert_eq!(objects[3]["faces"], serde_json::json!([]));
    // With it, a camera and a stream that are not there are told by their names.
    let ended = scratch.run(&[&DETECT[..], &["tcp://127.0.0.1:9", "camera:97"]].concat());
    assert_eq!(ended.code, Some(2));
    for (object, path) in ended.objects().iter().zip(["tcp://127.0.0.1:9", "camera:97"]) {
        assert!(object["path"] == path && object["error"].as_str().unwrap().starts_with("ffmpeg cannot read it: "), "{object}");
    }
}

/// Kept running, with its output read line by line; it goes with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn start(scratch: &Scratch, args: &[&str]) -> (Self, impl Iterator<Item = String> + use<>) {
        let mut child = scratch.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        (Self(child), lines)
    }

    /// The process that it runs.
    fn child(&self) -> u32 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.0.id())).unwrap();
        let children = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        children.collect::<String>().split_whitespace().next().expect("a child").parse().unwrap()
    }

    /// Resident memory, KiB.
    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a running process");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

/// A film of `minutes`, with the portrait for its first frames and noise after them.
fn long_film(scratch: &Scratch, name: &str, minutes: u32) {
    let scene = format!("testsrc=size=96x72:rate=25:duration={}", minutes * 60);
    ffmpeg(scratch, &["-f", "lavfi", "-i", &scene, "-c:v", "mpeg4", "-q:v", "5", name], std::iter::empty());
}

#[test]
fn an_ffmpeg_that_is_killed_ends_the_film_with_clear_words() {
    let scratch = Scratch::new();
    long_film(&scratch, "film.avi", 10);
    let (mut running, mut lines) = Running::start(&scratch, &[&DETECT[..], &["film.avi"]].concat());
    let first: Vec<String> = lines.by_ref().take(5).collect();
    assert_eq!(first.len(), 5);
    assert!(Command::new("kill").args(["-9", &running.child().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    let last: Value = serde_json::from_str(rest.last().unwrap()).unwrap();
    let error = last["error"].as_str().unwrap();
    assert!(error.contains(&format!("{} frames were read", 5 + rest.len() - 1)) && error.contains("SIGKILL"), "{error}");
    assert!(rest.len() < 14_000, "it was not killed in time");
    let mut said = String::new();
    running.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.starts_with("mtcmcn: film.avi: ") && said.lines().count() == 1, "{said}");
    assert_eq!(running.0.wait().unwrap().code(), Some(2));
}

#[test]
fn ten_minutes_need_no_more_memory_than_one() {
    let scratch = Scratch::new();
    long_film(&scratch, "film.avi", 10);
    let (mut running, mut lines) = Running::start(&scratch, &[&DETECT[..], &["film.avi"]].concat());
    assert_eq!(lines.by_ref().take(1500).count(), 1500);
    let early = running.resident();
    assert_eq!(lines.by_ref().take(13_400).count(), 13_400);
    let late = running.resident();
    assert_eq!(lines.count(), 100);
    assert_eq!(running.0.wait().unwrap().code(), Some(1));
    assert!(late < early + 1024, "{early} KiB after a minute, {late} KiB after ten");
}
