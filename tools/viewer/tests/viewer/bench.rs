//! The program without a window, and what both kinds of tests need.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use egui::{Key, Theme, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable as _;
use mtcmcn::data::Faults;
use mtcmcn::data::ImageDetections;
use mtcmcn::data::json::parse_detections;
use mtcmcn_viewer::app::App;
use mtcmcn_viewer::args::Args;

/// The public-domain portrait.
pub fn portrait() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/astronaut.png")
}

/// What `mtcmcn detect --json` finds in the image at `path`, with the viewer's smallest face.
pub fn detect(path: &Path) -> ImageDetections {
    // Beside the folder of this test.
    let program =
        std::env::current_exe().unwrap().ancestors().nth(2).unwrap().join("mtcmcn").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(program.exists(), "these tests compare with {}; make it with `cargo build --release`", program.display());
    let run = Command::new(program).args(["detect", "--json", "--device", "cpu", "--min-face", "40"]).arg(path).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    parse(&run.stdout)
}

/// The first of the images that lines in the form of `detect --json` tell of.
pub fn parse(json: &[u8]) -> ImageDetections {
    parse_detections(json, &mut Faults::strict().of(Path::new("detect --json"))).unwrap().remove(0)
}

/// The program in a window of no screen.
pub struct Bench {
    pub harness: Harness<'static, Option<App>>,
    pub folder: tempfile::TempDir,
}

impl Bench {
    pub fn new(size: [f32; 2], pixels_per_point: f32) -> Self {
        Self::with(size, pixels_per_point, Theme::Dark, &|args| args)
    }

    pub fn with(size: [f32; 2], pixels_per_point: f32, theme: Theme, change: &dyn Fn(Args) -> Args) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let args = change(Args {
            source: Some("synthetic".to_owned()),
            device: Some("cpu".to_owned()),
            settings: Some(folder.path().join("viewer.json")),
            output: Some(folder.path().join("out")),
            ..Args::default()
        });
        let show = move |ui: &mut egui::Ui, app: &mut Option<App>| {
            let ctx = ui.ctx().clone();
            app.get_or_insert_with(|| App::new(&ctx, args.clone(), None)).show(ui);
        };
        let builder = Harness::builder().with_size(vec2(size[0], size[1])).with_pixels_per_point(pixels_per_point).with_theme(theme);
        Self { harness: builder.build_ui_state(show, None), folder }
    }

    pub fn app(&self) -> &App {
        self.harness.state().as_ref().unwrap()
    }

    /// Runs frames of the window until `done`.
    pub fn until(&mut self, what: &str, done: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !done(self.app()) {
            assert!(start.elapsed() < Duration::from_secs(120), "{what} never happened; messages: {:?}", self.app().messages);
            std::thread::sleep(Duration::from_millis(5));
            self.harness.step();
        }
    }

    pub fn press(&mut self, key: Key) {
        self.harness.key_press(key);
        self.harness.run_steps(3);
    }

    pub fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.run_steps(3);
    }

    pub fn files(&self, ending: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.folder.path().join("out")) else { return Vec::new() };
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.to_string_lossy().ends_with(ending)).collect()
    }
}
