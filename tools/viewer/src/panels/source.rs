//! Choosing what is looked at.

use egui::{RichText, Ui};

use crate::keys::Action;
use crate::source::{CameraSpec, SourceSpec};

/// What is known about cameras.
#[derive(Debug, Clone, Default)]
pub struct Cameras {
    /// Every camera with its modes; `None` while looking.
    pub found: Option<Vec<(CameraSpec, Vec<[u32; 3]>)>>,
}

/// Buttons and a field for sources. Returns whether cameras should be looked for again.
pub fn show(
    ui: &mut Ui,
    current: Option<&SourceSpec>,
    recent: &[SourceSpec],
    path: &mut String,
    cameras: &Cameras,
    actions: &mut Vec<Action>,
) -> bool {
    let mut again = false;
    ui.horizontal_wrapped(|ui| {
        let synthetic = current == Some(&SourceSpec::Synthetic);
        let hint = "A public-domain portrait that moves and changes its size: needs no camera (1)";
        if ui.selectable_label(synthetic, "Synthetic").on_hover_text(hint).clicked() {
            actions.push(Action::Open(SourceSpec::Synthetic));
        }
        again = camera(ui, current, cameras, actions);
        recently(ui, recent, actions);
    });
    ui.horizontal(|ui| {
        let hint = "An image, a folder, a video file, or an address such as rtsp://host/stream; video needs ffmpeg";
        let field =
            egui::TextEdit::singleline(path).hint_text("image, folder, video or address").desired_width(ui.available_width() - 52.0);
        let response = ui.add(field).on_hover_text(hint);
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
        if (ui.button("Open").clicked() || entered) && !path.trim().is_empty() {
            actions.push(Action::Open(SourceSpec::parse(path)));
        }
    });
    again
}

fn camera(ui: &mut Ui, current: Option<&SourceSpec>, cameras: &Cameras, actions: &mut Vec<Action>) -> bool {
    if cfg!(not(feature = "camera")) {
        ui.add_enabled(false, egui::Button::new("Camera")).on_disabled_hover_text("This viewer was built without the feature `camera`");
        return false;
    }
    let mut again = false;
    ui.menu_button("Camera", |ui| {
        match &cameras.found {
            None => drop(ui.label(RichText::new("looking ...").weak())),
            Some(found) if found.is_empty() => drop(ui.label(RichText::new("no camera found").weak())),
            Some(found) => {
                for (camera, modes) in found {
                    let on = matches!(current, Some(SourceSpec::Camera(open)) if open.index == camera.index);
                    if ui.selectable_label(on, &camera.name).clicked() {
                        actions.push(Action::Open(SourceSpec::Camera(camera.clone())));
                        ui.close();
                    }
                    for &mode in modes.iter().take(12) {
                        let [width, height, rate] = mode;
                        if ui.button(format!("    {width} x {height} px, {rate} fps")).clicked() {
                            actions.push(Action::Open(SourceSpec::Camera(CameraSpec { mode: Some(mode), ..camera.clone() })));
                            ui.close();
                        }
                    }
                }
            }
        }
        ui.separator();
        again = ui.button("Look again").clicked();
    })
    .response
    .on_hover_text("Cameras of this machine, with size and rate");
    again
}

fn recently(ui: &mut Ui, recent: &[SourceSpec], actions: &mut Vec<Action>) {
    ui.add_enabled_ui(!recent.is_empty(), |ui| {
        ui.menu_button("Recent", |ui| {
            for spec in recent {
                let text = spec.to_string();
                // The end of a path tells more than its beginning.
                let tail: String = text.chars().rev().take(48).collect::<Vec<_>>().into_iter().rev().collect();
                let short = if tail.len() < text.len() { format!("...{tail}") } else { tail };
                if ui.button(short).on_hover_text(&text).clicked() {
                    actions.push(Action::Open(spec.clone()));
                    ui.close();
                }
            }
        });
    });
}
