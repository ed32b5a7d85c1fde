//! The real program in a real window: under Xvfb, driven by keyboard and mouse, looked at by screenshot.
//!
//! Needs Xvfb, xdotool and ImageMagick's `import`, and a device that draws (Mesa's lavapipe will do).

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use image::RgbImage;
use mtcmcn::weights::fetch;
use mtcmcn::{Config, Detector, Engine, Face};

/// Patience with a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A display of its own.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start(size: &str) -> Self {
        // Xvfb picks a free number and writes it to its standard output.
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", size, "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, name: format!(":{}", number.trim()) }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("DISPLAY", &self.name).env_remove("WAYLAND_DISPLAY");
        command
    }

    fn xdotool(&self, words: &[&str]) {
        let status = self.command("xdotool").args(words).status().expect("xdotool is installed");
        assert!(status.success(), "xdotool {words:?}");
        // The program sees an event a frame.
        std::thread::sleep(Duration::from_millis(150));
    }

    fn screenshot(&self, path: &Path) -> RgbImage {
        let status = self.command("import").args(["-window", "root"]).arg(path).status().expect("ImageMagick is installed");
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
        Self { child, said, folder }
    }

    /// Waits for something.
    fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            let said = self.said.lock().unwrap();
            assert!(
                start.elapsed() < PATIENCE,
                "{what} never happened; the last it said: {:#?}",
                said.iter().rev().take(5).collect::<Vec<_>>()
            );
            drop(said);
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where the frame was drawn last: left, top, width, height, px.
    fn drawn(&self, name: &str) -> Option<[f32; 4]> {
        let said = self.said.lock().unwrap();
        let line = said.iter().rev().find(|line| line.contains(" drawn at ") && line.contains(name))?;
        let numbers: Vec<f32> = line.split(" drawn at ").nth(1)?.split_whitespace().take(4).filter_map(|word| word.parse().ok()).collect();
        numbers.try_into().ok()
    }

    fn file(&self, name: &str) -> Option<PathBuf> {
        let path = self.folder.path().join("out").join(name);
        path.exists().then_some(path)
    }

    fn close(mut self, display: &Display) {
        display.xdotool(&["key", "q"]);
        let status = self.until("the end", || None.or(self.child.try_wait().unwrap()));
        assert!(status.success());
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the detector finds in a file, with the viewer's settings.
fn detect(path: &Path) -> (u32, Vec<Face>) {
    let frame = mtcmcn::picture::decode::read(path, 100_000_000).unwrap();
    let mut config = Config::default();
    config.min_face_px = 40.0;
    let weights = fetch::default_weights(None).unwrap();
    let found = Detector::new(Engine::cpu(), &weights, config).unwrap().detect(&frame).unwrap();
    (frame.width(), found.faces)
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

/// Boxes in the screenshot where the detector says: all four edges of every face, at a quarter and three quarters of their length.
fn check_boxes(screen: &RgbImage, drawn: [f32; 4], width: u32, faces: &[Face]) {
    assert!(!faces.is_empty());
    let scale = drawn[2] / width as f32;
    for face in faces {
        let b = face.bounding_box;
        let at = |x: f32, y: f32| [drawn[0] + x * scale, drawn[1] + y * scale];
        let mix = |a: f32, b: f32, t: f32| a + (b - a) * t;
        for t in [0.3, 0.7] {
            let (x, y) = (mix(b.x1, b.x2, t), mix(b.y1, b.y2, t));
            for [x, y] in [at(x, b.y1), at(x, b.y2), at(b.x1, y), at(b.x2, y)] {
                assert!(has_stroke(screen, x, y), "no stroke at {x} {y} of {b:?}");
            }
        }
    }
}

/// A folder plays; boxes lie where the detector says; a held frame is saved; the cascade is walked; a threshold is dragged.
#[test]
fn a_folder_plays_with_boxes_where_the_detector_says() {
    let display = Display::start("1280x800x24");
    let images = tempfile::tempdir().unwrap();
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/astronaut.png"), images.path().join("astronaut.png")).unwrap();
    let viewer = Viewer::start(&display, &["--device", "cpu", &images.path().display().to_string()]);
    let drawn = viewer.until("the picture", || viewer.drawn("astronaut.png"));
    std::thread::sleep(Duration::from_secs(1));
    let (width, faces) = detect(&images.path().join("astronaut.png"));
    let screen = display.screenshot(&viewer.folder.path().join("screen.png"));
    check_boxes(&screen, viewer.drawn("astronaut.png").unwrap_or(drawn), width, &faces);

    display.xdotool(&["key", "s"]);
    let saved = viewer.until("a snapshot", || viewer.file("snapshot-1.json"));
    let value: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(saved).unwrap()).unwrap();
    for (face, saved) in faces.iter().zip(value["faces"].as_array().unwrap()) {
        let x1 = saved["box"][0].as_f64().unwrap();
        assert!((x1 - f64::from(face.bounding_box.x1)).abs() < 1e-3);
    }
    assert_eq!(value["faces"].as_array().unwrap().len(), faces.len());
    viewer.close(&display);
}

/// The synthetic scene, on the window's own device, where the frame is uploaded once for picture and search.
#[test]
fn the_synthetic_scene_plays_on_the_windows_device() {
    let display = Display::start("1280x800x24");
    let viewer = Viewer::start(&display, &["--device", "window", "synthetic"]);
    viewer.until("the picture", || viewer.drawn("synthetic #"));
    display.xdotool(&["key", "t", "space"]);
    // What was under way when it was held is done, and stays.
    let name = viewer.until("a frame that stays", || {
        let last = |viewer: &Viewer| viewer.said.lock().unwrap().iter().rev().find(|line| line.contains("drawn at")).cloned();
        let before = last(&viewer)?;
        std::thread::sleep(Duration::from_secs(2));
        display.xdotool(&["mousemove", "640", "300", "mousemove", "645", "305"]);
        let name = |line: &str| line.split('"').nth(1).map(str::to_owned);
        (name(&last(&viewer)?) == name(&before)).then(|| name(&before)).flatten()
    });
    display.xdotool(&["key", "s"]);
    let saved = viewer.until("a snapshot", || viewer.file("snapshot-1.json")).with_extension("png");
    std::thread::sleep(Duration::from_secs(1));
    let (width, faces) = detect(&saved);
    let screen = display.screenshot(&viewer.folder.path().join("screen.png"));
    check_boxes(&screen, viewer.drawn(&name).unwrap(), width, &faces);
    viewer.close(&display);
}
