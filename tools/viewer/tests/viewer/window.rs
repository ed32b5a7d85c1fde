//! The real program in a real window: under Xvfb, driven by keyboard and mouse, looked at by screenshot.
//!
//! Where its buttons are is asked of the same layout without a window. Needs Xvfb, xdotool and ffmpeg, and a
//! device that draws (Mesa's lavapipe will do).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use egui::Pos2;
use egui_kittest::kittest::Queryable as _;
use image::RgbImage;
use mtcmcn::data::ImageDetections;

use crate::bench::{Bench, detect, parse, portrait};

/// Patience with a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Columns and rows of the display and of the window on it.
const SIZE: [f32; 2] = [1280.0, 800.0];

/// A display of its own.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        // Xvfb picks a free number and writes it to its standard output.
        let mut server = Command::new("Xvfb")
            // Not reset whenever the last client goes: whoever comes at that moment is turned away.
            .args(["-displayfd", "1", "-noreset", "-screen", "0", "1280x800x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs Xvfb, xdotool and ffmpeg; on Debian: apt-get install xvfb xdotool ffmpeg");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, name: format!(":{}", number.trim()) }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("DISPLAY", &self.name)
            .env("WINIT_X11_SCALE_FACTOR", "1")
            .env("XDG_RUNTIME_DIR", std::env::temp_dir())
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    fn try_xdotool(&self, words: &[&str]) -> bool {
        let mut command = self.command("xdotool");
        command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("this test needs xdotool; on Debian: apt-get install xdotool").success()
    }

    fn xdotool(&self, words: &[&str]) {
        assert!(self.try_xdotool(words), "xdotool {words:?}");
        // The program sees an event a frame.
        std::thread::sleep(Duration::from_millis(200));
    }

    fn point(&self, at: Pos2) {
        self.xdotool(&["mousemove", &at.x.round().to_string(), &at.y.round().to_string()]);
    }

    fn click(&self, at: Pos2) {
        self.point(at);
        self.xdotool(&["mousedown", "1"]);
        self.xdotool(&["mouseup", "1"]);
    }

    fn drag(&self, from: Pos2, to: Pos2) {
        self.point(from);
        self.xdotool(&["mousedown", "1"]);
        self.point(from + (to - from) / 2.0);
        self.point(to);
        self.xdotool(&["mouseup", "1"]);
    }

    fn screenshot(&self, path: &Path) -> RgbImage {
        let mut ffmpeg = self.command("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "error", "-y", "-f", "x11grab", "-video_size", "1280x800", "-i", &self.name]);
        let status = ffmpeg.args(["-frames:v", "1"]).arg(path).status().expect("this test needs ffmpeg; on Debian: apt-get install ffmpeg");
        assert!(status.success());
        image::open(path).unwrap().into_rgb8()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// The program, with what it says.
struct Viewer {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

impl Viewer {
    fn start(display: &Display, words: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = display
            .command(env!("CARGO_BIN_EXE_mtcmcn-viewer"))
            .args(words)
            .arg("--settings")
            .arg(folder.path().join("viewer.json"))
            .arg("--output")
            .arg(folder.path().join("out"))
            .env("MTCMCN_LOG", "error,mtcmcn_viewer=debug")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, errors) = (said.clone(), child.stderr.take().unwrap());
        std::thread::spawn(move || BufReader::new(errors).lines().map_while(Result::ok).for_each(|line| lines.lock().unwrap().push(line)));
        let viewer = Self { child, said, folder };
        // Without a window manager nobody gives it the keyboard.
        let focus = || display.try_xdotool(&["search", "--name", "mtcmcn viewer", "windowfocus"]).then_some(());
        viewer.until("a window", focus);
        viewer
    }

    /// Waits for something.
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let said = self.said.lock().unwrap();
            let last: Vec<_> = said.iter().rev().take(5).collect();
            assert!(start.elapsed() < PATIENCE, "{what} never happened; the last it said: {last:#?}");
            drop(said);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The newest line that tells of a drawn frame with `part` in it.
    fn drawn(&self, part: &str) -> Option<String> {
        self.said.lock().unwrap().iter().rev().find(|line| line.contains(" drawn at ") && line.contains(part)).cloned()
    }

    /// Waits until one frame stays, and tells how it was drawn.
    fn still(&self, display: &Display) -> String {
        self.until("a frame that stays", || {
            let before = self.drawn("")?;
            std::thread::sleep(Duration::from_millis(1500));
            // The window draws when it is touched.
            display.xdotool(&["mousemove_relative", "--", "1", "0", "mousemove_relative", "--", "-1", "0"]);
            self.drawn("").filter(|after| *after == before)
        })
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.path().join("out").join(name);
        path.exists().then_some(path)
    }

    /// The faces that the snapshot with this number tells of.
    fn saved(&self, number: u32) -> ImageDetections {
        let path = self.until("a snapshot", || self.file(&format!("snapshot-{number}.json")));
        parse(&std::fs::read(path).unwrap())
    }

    fn close(mut self, display: &Display) {
        display.xdotool(&["key", "q"]);
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < PATIENCE, "it does not end"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert!(status.success(), "{status}");
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a stroke of a face's colour lies within 2 px of (x, y).
fn has_stroke(screen: &RgbImage, x: f32, y: f32) -> bool {
    let bright = |x: i64, y: i64| {
        let inside = x >= 0 && y >= 0 && x < i64::from(screen.width()) && y < i64::from(screen.height());
        inside && {
            let [r, g, b] = screen.get_pixel(x as u32, y as u32).0;
            g > 220 && r < 110 && b < 130
        }
    };
    (-2..=2).any(|dy| (-2..=2).any(|dx| bright(x as i64 + dx, y as i64 + dy)))
}

/// Boxes in the screenshot where the detector says: all four edges of every face, at a third and two thirds
/// of their length.
fn check_boxes(screen: &RgbImage, drawn: &str, found: &ImageDetections) {
    let numbers = drawn.split(" drawn at ").nth(1).unwrap().split_whitespace().map_while(|word| word.parse::<f32>().ok());
    let [left, top, width, _] = numbers.take(4).collect::<Vec<_>>().try_into().unwrap();
    let scale = width / found.size.unwrap()[0] as f32;
    assert!(!found.faces.is_empty());
    for b in found.faces.iter().map(|face| face.bounding_box) {
        let at = |x: f32, y: f32| [left + x * scale, top + y * scale];
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        for t in [0.3, 0.7] {
            let (x, y) = (mix(b.x1, b.x2, t), mix(b.y1, b.y2, t));
            for [x, y] in [at(x, b.y1), at(x, b.y2), at(b.x1, y), at(b.x2, y)] {
                assert!(has_stroke(screen, x, y), "no stroke at {x} {y} of {b:?}");
            }
        }
    }
}

fn check_same(got: &ImageDetections, want: &ImageDetections) {
    assert_eq!((got.size, &got.faces), (want.size, &want.faces));
}

/// A folder plays; boxes lie where the detector says; the frame is saved with what was found.
#[test]
fn a_folder_plays_with_boxes_where_the_detector_says() {
    let display = Display::start();
    let images = tempfile::tempdir().unwrap();
    let image = images.path().join("astronaut.png");
    std::fs::copy(portrait(), &image).unwrap();
    let viewer = Viewer::start(&display, &["--device", "cpu", &images.path().display().to_string()]);
    viewer.until("the picture", || viewer.drawn("astronaut.png"));
    let drawn = viewer.still(&display);
    let want = detect(&image);
    check_boxes(&display.screenshot(&viewer.folder.path().join("screen.png")), &drawn, &want);
    display.xdotool(&["key", "s"]);
    check_same(&viewer.saved(1), &want);
    viewer.close(&display);
}

/// By mouse: another source, a threshold, a snapshot; by keyboard: pause, the cascade, its stages.
#[test]
fn mouse_and_keyboard_drive_it() {
    let mut bench = Bench::new(SIZE, 1.0);
    bench.until("a frame", |app| app.shown.is_some());
    bench.harness.run_steps(3);
    let middle = |label: &str| bench.harness.get_by_label(label).rect().center();
    let display = Display::start();
    let viewer = Viewer::start(&display, &["--device", "cpu", "/nowhere/face.png"]);
    viewer.until("a message", || viewer.said.lock().unwrap().iter().any(|line| line.contains("/nowhere/face.png")).then_some(()));
    display.click(middle("Synthetic"));
    viewer.until("the synthetic scene", || viewer.drawn("synthetic #"));
    display.xdotool(&["key", "t", "space"]);
    let drawn = viewer.still(&display);
    let screen = display.screenshot(&viewer.folder.path().join("screen.png"));
    display.click(middle("Snapshot"));
    let found = viewer.saved(1);
    check_same(&found, &detect(&viewer.file("snapshot-1.png").unwrap()));
    check_boxes(&screen, &drawn, &found);

    let onet = bench.harness.get_all_by_role(egui::accesskit::Role::Slider).nth(4).unwrap().rect();
    display.drag(onet.left_center() + egui::vec2(0.7 * onet.width(), 0.0), onet.right_center() + egui::vec2(60.0, 0.0));
    viewer.until("a frame without faces", || viewer.drawn(", 0 faces"));
    display.click(middle("Snapshot"));
    assert_eq!(viewer.saved(2).faces, []);

    display.xdotool(&["key", "i"]);
    viewer.until("the first stage", || viewer.drawn("P-Net, level 1"));
    let first = display.screenshot(&viewer.folder.path().join("screen.png"));
    display.xdotool(&["key", "Right"]);
    viewer.until("the next stage", || viewer.drawn("P-Net, level 2"));
    std::thread::sleep(Duration::from_millis(300));
    assert!(first != display.screenshot(&viewer.folder.path().join("screen.png")), "the map should be another one");
    display.xdotool(&["key", "Left"]);
    viewer.until("the stage before", || viewer.drawn("").filter(|line| line.contains("P-Net, level 1")));
    viewer.close(&display);
}

/// On the window's own device, where the frame is uploaded once for picture and search.
#[test]
fn the_synthetic_scene_plays_on_the_windows_device() {
    let display = Display::start();
    let viewer = Viewer::start(&display, &["--device", "window", "synthetic"]);
    viewer.until("the picture", || viewer.drawn("synthetic #"));
    // A window that changes its size while frames are searched, down to almost nothing.
    for size in [["700", "500"], ["2", "2"], ["1280", "1"], ["2", "800"], ["1600", "1200"], ["500", "800"], ["1280", "800"]] {
        display.xdotool(&["search", "--name", "mtcmcn viewer", "windowsize", size[0], size[1]]);
    }
    let before = viewer.drawn("synthetic #");
    viewer.until("frames after that", || viewer.drawn("synthetic #").filter(|after| Some(after) != before.as_ref()));
    display.xdotool(&["key", "t", "space"]);
    let drawn = viewer.still(&display);
    let screen = display.screenshot(&viewer.folder.path().join("screen.png"));
    display.xdotool(&["key", "s"]);
    let found = viewer.saved(1);
    check_boxes(&screen, &drawn, &found);
    let want = detect(&viewer.file("snapshot-1.png").unwrap());
    let edges = |found: &ImageDetections| found.faces.iter().map(|face| face.bounding_box).collect::<Vec<_>>();
    assert_eq!(edges(&found).len(), edges(&want).len());
    for (got, want) in edges(&found).iter().zip(edges(&want)) {
        assert!(got.iou(&want) > 0.95, "{got:?} {want:?}");
    }
    let said = viewer.said.lock().unwrap().clone();
    assert!(!said.iter().any(|line| line.contains("searching on the CPU")), "the device was given up: {said:#?}");
    viewer.close(&display);
}
