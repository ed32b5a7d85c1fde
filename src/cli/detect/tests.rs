//! Runs over real files with a detector made up for the test: what is printed, drawn and refused, and how the
//! run ends.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use image::{Rgb, RgbImage};
use mtcmcn::Face;
use mtcmcn::geometry::{ALIGNED_112, BoundingBox};

use super::*;

/// A directory that goes with the test.
struct OutputFolder(PathBuf);

impl OutputFolder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("mtcmcn-unit-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("the temporary directory can be written");
        Self(path)
    }

    /// A square image, its red channel growing with x and its green one with y.
    fn image(&self, name: &str, side: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("in the scratch directory")).expect("can be made");
        RgbImage::from_fn(side, side, |x, y| Rgb([x as u8, y as u8, 0])).save(&path).expect("can be written");
        path
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// In frames of 112 px or more, one face on the template; in others none. Frames of 13 px are more than it
/// can bear.
struct MadeUp;

impl Find for MadeUp {
    fn find(&mut self, frame: &Frame) -> Result<Result<Detections>> {
        made_up(frame)
    }

    fn engine(&self) -> Option<[Option<String>; 2]> {
        None
    }
}

fn made_up(frame: &Frame) -> Result<Result<Detections>> {
    let bounding_box = BoundingBox { x1: -8.0, y1: 20.0, x2: 90.0, y2: 110.0 };
    let face = Face { bounding_box, score: 0.75, landmarks: ALIGNED_112 };
    let faces = if frame.width() >= 112 { vec![face] } else { Vec::new() };
    Ok(if frame.width() == 13 { Err(anyhow::anyhow!("unlucky")) } else { Ok(Detections { faces, ..Detections::default() }) })
}

fn run_made_up(inputs: &[Input], format: OutputFormat, clip: bool, directories: Directories) -> Result<(Outcome, String)> {
    let mut run = DetectRun {
        searches: Searches { rotate: args::Rotate::Angles(vec![0.0]), find: MadeUp },
        out: Vec::new(),
        format,
        clip,
        every: 1,
        reading: Reading::first(1_000_000),
        pictures: Pictures::new(directories, inputs, CropShape { side: None, margin: 0.0, aligned: true }),
        progress: ProgressBar::hidden(),
        quiet: false,
        outcome: Outcome::Nothing,
        header_due: true,
    };
    let outcome = run.all(inputs)?;
    Ok((outcome, String::from_utf8(run.out)?))
}

#[test]
fn results_come_in_the_order_of_inputs_with_errors_in_their_place() {
    let scratch = OutputFolder::new();
    let paths = [scratch.image("b.png", 120), scratch.0.join("lost.png"), scratch.image("a.png", 13), scratch.image("c.png", 5)];
    let inputs = input::expand(&paths, None, &[]);
    let (outcome, text) = run_made_up(&inputs, OutputFormat::Json, true, Directories::default()).expect("nothing is fatal");
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let named: Vec<_> = lines.iter().map(|line| line["path"].as_str().expect("text").into()).collect::<Vec<PathBuf>>();
    assert_eq!(named, paths);
    assert_eq!(lines[0]["faces"][0]["box"], serde_json::json!([0.0, 20.0, 90.0, 110.0]), "clipped");
    assert!(lines[1]["error"].as_str().is_some_and(|error| !error.is_empty()), "{text}");
    assert_eq!(lines[2]["error"], "unlucky");
    assert_eq!(lines[3]["faces"], serde_json::json!([]));
    assert_eq!(outcome, Outcome::Failed, "although a face was found");
}

#[test]
fn the_outcome_is_found_nothing_or_failed() {
    let scratch = OutputFolder::new();
    let (with, without) = (scratch.image("a.png", 112), scratch.image("b.png", 20));
    let outcome = |paths: &[PathBuf]| {
        run_made_up(&input::expand(paths, None, &[]), OutputFormat::Csv(report::MoreColumns::None), false, Directories::default())
            .map(|(outcome, text)| (outcome, text.lines().count()))
    };
    assert_eq!(outcome(std::slice::from_ref(&without)).expect("runs"), (Outcome::Nothing, 1), "only the header");
    assert_eq!(outcome(&[with.clone(), without]).expect("runs"), (Outcome::Found, 2));
    assert_eq!(outcome(&[scratch.0.join("lost"), with]).expect("runs"), (Outcome::Failed, 2));
}

#[test]
fn pictures_are_written_under_names_that_do_not_collide() {
    let scratch = OutputFolder::new();
    scratch.image("in/x.png", 112);
    scratch.image("in/sub/x.png", 112);
    scratch.image("in/small.png", 8);
    let (annotated, crops) = (scratch.0.join("in/annotated"), scratch.0.join("crops"));
    let directories = Directories::create(Some(&annotated), Some(&crops)).expect("can be made");
    let paths = [scratch.0.join("in"), scratch.0.join("in/x.png")];
    let inputs = input::expand(&paths, None, &directories.canonical());
    run_made_up(&inputs, OutputFormat::Table, false, directories).expect("runs");

    let files = |root: &Path| -> Vec<PathBuf> {
        let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(|entry| entry.expect("readable"));
        entries
            .filter(|entry| entry.file_type().is_file())
            .map(|entry| entry.path().strip_prefix(root).expect("inside").to_owned())
            .collect()
    };
    assert_eq!(files(&annotated), ["small.png", "sub/x.png", "x-2.png", "x.png"].map(PathBuf::from));
    assert_eq!(files(&crops), ["sub/x_1.png", "x-2_1.png", "x_1.png"].map(PathBuf::from));
    let crop = image::open(crops.join("x_1.png")).expect("a PNG").into_rgb8();
    assert_eq!(crop.dimensions(), (112, 112));
    assert_eq!(crop.get_pixel(56, 72), &Rgb([56, 72, 0]));
    let drawn = image::open(annotated.join("x.png")).expect("a PNG").into_rgb8();
    assert_eq!(drawn.dimensions(), (112, 112));
    assert!(drawn.pixels().any(|pixel| pixel.0[2] == 90), "the stroke has blue, the image has none");

    // A second run finds the same inputs: pictures it made before are no images to search.
    let again = Directories::create(Some(&annotated), Some(&crops)).expect("exists");
    assert_eq!(input::expand(&paths, None, &again.canonical()), inputs);
}

#[test]
fn an_input_is_not_written_over() {
    let scratch = OutputFolder::new();
    let path = scratch.image("x.png", 112);
    let before = fs::read(&path).expect("was written");
    let directories = Directories::create(Some(&scratch.0), None).expect("exists");
    let inputs = input::expand(std::slice::from_ref(&path), None, &[]);
    let error = run_made_up(&inputs, OutputFormat::Table, false, directories).expect_err("must be refused");
    assert!(format!("{error:#}").contains("is one of the inputs"), "{error:#}");
    assert_eq!(fs::read(&path).expect("still there"), before);
}

#[test]
fn what_cannot_be_written_stops_the_run_and_leaves_nothing_half_done() {
    let scratch = OutputFolder::new();
    let path = scratch.image("x.png", 112);
    let output = scratch.0.join("out");
    fs::create_dir_all(output.join("x.png/in the way")).expect("can be made");
    let directories = Directories::create(Some(&output), None).expect("exists");
    let error =
        run_made_up(&input::expand(&[path], None, &[]), OutputFormat::Table, false, directories).expect_err("a directory is in the way");
    let text = format!("{error:#}");
    assert!(text.starts_with("cannot write ") && text.contains("x.png"), "{text}");
    assert_eq!(fs::read_dir(&output).expect("exists").count(), 1, "no temporary file is left");
}
