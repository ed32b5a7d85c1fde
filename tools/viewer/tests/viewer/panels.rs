//! The window's logic and layout without a window: keys, buttons and sliders against the program, on the CPU
//! engine.

use std::path::Path;
use std::time::{Duration, Instant};

use egui::{Key, Modifiers, Rect, Theme, vec2};
use egui_kittest::kittest::Queryable as _;
use mtcmcn_viewer::app::App;
use mtcmcn_viewer::args::Args;
use mtcmcn_viewer::settings::Settings;
use mtcmcn_viewer::source::SourceSpec;
use mtcmcn_viewer::stages::Stage;

use crate::bench::Bench;

fn name(app: &App) -> String {
    app.shown.as_ref().map(|shown| shown.taken.name.clone()).unwrap_or_default()
}

#[test]
fn the_synthetic_scene_plays_and_its_face_is_found_and_numbered() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a tracked face", |app| app.shown.as_ref().is_some_and(|shown| shown.faces.len() == 1 && shown.faces[0].id.is_some()));
}

#[test]
fn space_holds_the_source_and_single_frames_are_stepped() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a frame", |app| app.shown.is_some());
    bench.press(Key::Space);
    assert!(bench.app().paused);
    // A frame may be under way.
    let settle = Instant::now();
    while settle.elapsed() < Duration::from_millis(700) {
        bench.harness.step();
    }
    let before = name(bench.app());
    bench.press(Key::Period);
    bench.until("the next frame", |app| name(app) != before);
    let number = |name: &str| name.rsplit('#').next().and_then(|n| n.parse::<i64>().ok()).unwrap();
    assert!(number(&name(bench.app())) > number(&before));
    bench.press(Key::Comma);
    bench.until("the frame before", |app| name(app) == before);
    bench.click("Resume");
    assert!(!bench.app().paused);
}

#[test]
fn sliders_act_on_the_frame_that_is_held() {
    let mut bench = Bench::with([1280.0, 800.0], 1.0, Theme::Dark, &|args| Args { paused: true, ..args });
    bench.until("a face", |app| app.shown.as_ref().is_some_and(|shown| shown.detections.faces.len() == 1));
    // The last of the three thresholds, dragged to its right end.
    let sliders: Vec<Rect> = bench.harness.get_all_by_role(egui::accesskit::Role::Slider).map(|node| node.rect()).collect();
    assert_eq!(sliders.len(), 5, "min face, factor, three thresholds");
    let onet = sliders[4];
    bench.harness.drag_at(onet.center());
    bench.harness.run_steps(2);
    bench.harness.hover_at(egui::pos2(onet.right() + 300.0, onet.center().y));
    bench.harness.run_steps(2);
    bench.harness.drop_at(egui::pos2(onet.right() + 300.0, onet.center().y));
    bench.harness.run_steps(2);
    assert_eq!(bench.app().settings.detection.thresholds[2], 1.0);
    bench.until("no face", |app| app.shown.as_ref().is_some_and(|shown| shown.detections.faces.is_empty()));
    bench.click("Reset");
    bench.until("the face again", |app| app.shown.as_ref().is_some_and(|shown| shown.detections.faces.len() == 1));
}

#[test]
fn the_cascade_is_walked_to_the_face_and_back() {
    let mut bench = Bench::with([1280.0, 800.0], 1.0, Theme::Dark, &|args| Args { paused: true, ..args });
    bench.until("a frame", |app| app.shown.is_some());
    bench.press(Key::I);
    bench.until("a trace", |app| app.shown.as_ref().is_some_and(|shown| shown.trace.is_some()));
    bench.harness.run_steps(2);
    let stage = |app: &App| {
        let trace = app.shown.as_ref().and_then(|shown| shown.trace.clone()).unwrap();
        app.walk.as_ref().unwrap().stage(&trace)
    };
    assert_eq!(stage(bench.app()), Stage::Heat(0));
    assert!(bench.app().walk.as_ref().unwrap().texture.is_some());
    let mut seen = Vec::new();
    for _ in 0..30 {
        bench.press(Key::ArrowRight);
        seen.push(stage(bench.app()));
    }
    assert_eq!(seen.last(), Some(&Stage::Faces));
    assert!(seen.contains(&Stage::RnetCrops) && seen.contains(&Stage::OnetPassed));
    bench.press(Key::ArrowLeft);
    assert_eq!(stage(bench.app()), Stage::OnetPassed);
    bench.harness.get_all_by_label("Back").next().unwrap().click();
    bench.harness.run_steps(2);
    assert_eq!(stage(bench.app()), Stage::OnetCrops);
    bench.press(Key::I);
    assert!(bench.app().walk.is_none());
}

#[test]
fn frames_faces_and_recordings_are_kept() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a face", |app| app.shown.as_ref().is_some_and(|shown| shown.detections.faces.len() == 1));
    bench.press(Key::S);
    bench.press(Key::K);
    bench.press(Key::R);
    bench.until("recorded frames", |app| app.worker.board().recorded.is_some_and(|frames| frames >= 3));
    bench.press(Key::R);
    assert_eq!((bench.files("snapshot-1.png").len(), bench.files("snapshot-1.json").len(), bench.files("crop-1.png").len()), (1, 1, 1));
    let text = std::fs::read_to_string(&bench.files(".ndjson")[0]).unwrap();
    assert!(text.lines().count() >= 3 && text.lines().all(|line| line.starts_with(r#"{"path":"synthetic #"#)), "{text}");
    assert!(bench.files(".part").is_empty());
}

#[test]
fn a_source_that_is_not_there_says_so_and_the_next_one_plays() {
    let mut bench = Bench::with([1280.0, 800.0], 1.0, Theme::Dark, &|args| Args { source: Some("/nowhere/face.png".to_owned()), ..args });
    bench.until("a message", |app| app.messages.iter().any(|message| message.contains("/nowhere/face.png")));
    bench.click("Synthetic");
    bench.until("a frame", |app| app.shown.is_some());
    assert_eq!(bench.app().feed.as_ref().unwrap().spec, SourceSpec::Synthetic);
    bench.click("OK");
    assert!(bench.app().messages.is_empty());
}

#[cfg(feature = "camera")]
#[test]
fn a_camera_that_is_not_there_says_so() {
    let mut bench = Bench::with([1280.0, 800.0], 1.0, Theme::Dark, &|args| Args { source: Some("camera:99".to_owned()), ..args });
    bench.until("a message", |app| app.messages.iter().any(|message| message.contains("camera 99")));
    assert!(bench.app().feed.as_ref().unwrap().ended());
}

/// Frames of odd sizes, some too small for any face, are no trouble.
#[test]
fn pictures_of_any_size_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (name, width, height) in [("a.png", 1, 1), ("b.png", 3, 500), ("c.png", 641, 479), ("d.png", 5000, 40)] {
        image::RgbImage::from_pixel(width, height, image::Rgb([90, 120, 40])).save(folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("e.png"), "no picture").unwrap();
    let path = folder.path().display().to_string();
    let mut bench = Bench::with([1280.0, 800.0], 1.0, Theme::Dark, &|args| Args { source: Some(path.clone()), ..args });
    for wanted in ["a.png", "b.png", "c.png", "d.png", "a.png"] {
        bench.until(wanted, |app| name(app).ends_with(wanted));
    }
    assert!(bench.app().messages.iter().any(|message| message.contains("e.png")), "{:?}", bench.app().messages);
}

/// Every button and label lies inside the window at both scales; nothing is laid out where nobody can reach
/// it.
#[test]
fn nothing_is_cut_off_at_either_scale() {
    for (size, scale) in [([1280.0, 800.0], 1.0), ([960.0, 600.0], 2.0)] {
        for theme in [Theme::Light, Theme::Dark] {
            let mut bench = Bench::with(size, scale, theme, &|args| args);
            bench.until("a frame", |app| app.shown.is_some());
            bench.harness.run_steps(3);
            let window = Rect::from_min_size(egui::Pos2::ZERO, vec2(size[0], size[1]));
            for label in ["Pause", "Cascade", "Snapshot", "Record", "Keys", "Synthetic", "Reset", "Boxes", "200 %"] {
                let rect = bench.harness.get_by_label(label).rect();
                let right = ["Synthetic", "Reset", "Boxes", "200 %"].contains(&label);
                // The side scrolls up and down.
                let side = Rect::everything_right_of(size[0] - 330.0).with_max_x(size[0]);
                let part = if right { side } else { window };
                assert!(part.contains_rect(rect), "{label} at {rect:?} in {part:?}");
            }
        }
    }
}

/// Minimised or resized to nothing and back.
#[test]
fn a_window_without_room_is_no_trouble() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a frame", |app| app.shown.is_some());
    for size in [[1.0, 1.0], [0.0, 0.0], [1280.0, 2.0], [2.0, 800.0], [640.0, 360.0]] {
        bench.harness.set_size(vec2(size[0], size[1]));
        bench.harness.run_steps(2);
    }
    let before = bench.app().worker.board().searched;
    bench.until("more frames", |app| app.worker.board().searched > before + 3);
}

#[test]
fn settings_are_remembered() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a frame", |app| app.shown.is_some());
    bench.press(Key::M);
    let path = bench.folder.path().join("viewer.json");
    let start = Instant::now();
    while !path.exists() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
        bench.harness.step();
    }
    let (settings, trouble) = Settings::load(Path::new(&path));
    assert_eq!((settings.show.mirror, settings.recent, trouble), (true, vec![SourceSpec::Synthetic], None));
}

/// Keys with Ctrl are the system's; while a field is typed into, letters are letters.
#[test]
fn letters_in_a_field_are_no_commands() {
    let mut bench = Bench::new([1280.0, 800.0], 1.0);
    bench.until("a frame", |app| app.shown.is_some());
    bench.harness.key_press_modifiers(Modifiers::CTRL, Key::M);
    bench.harness.run_steps(2);
    assert!(!bench.app().settings.show.mirror);
    let field = bench.harness.get_all_by_role(egui::accesskit::Role::TextInput).next().unwrap();
    field.focus();
    bench.harness.run_steps(2);
    bench.press(Key::M);
    assert!(!bench.app().settings.show.mirror);
}
