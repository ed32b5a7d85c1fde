//! Choosing what is looked at.

use egui::{RichText, Ui};

use crate::keys::Action;
use crate::lookup::Cameras;
use crate::source::{CameraSpec, SourceSpec};

/// Buttons and a field for sources.
pub fn show(
    ui: &mut Ui,
    current: Option<&SourceSpec>,
    recent: &[SourceSpec],
    path: &mut String,
    cameras: &mut Cameras,
    actions: &mut Vec<Action>,
) {
    ui.horizontal_wrapped(|ui| {
        let synthetic = current == Some(&SourceSpec::Synthetic);
        let hint = "A public-domain portrait that moves and changes its size: needs no camera (1)";
        if ui.selectable_label(synthetic, "Synthetic").on_hover_text(hint).clicked() {
            actions.push(Action::Open(SourceSpec::Synthetic));
        }
        camera(ui, current, cameras, actions);
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
}

fn camera(ui: &mut Ui, current: Option<&SourceSpec>, cameras: &mut Cameras, actions: &mut Vec<Action>) {
    if cfg!(not(feature = "camera")) {
        ui.add_enabled(false, egui::Button::new("Camera")).on_disabled_hover_text("This viewer was built without the feature `camera`");
        return;
    }
    ui.menu_button("Camera", |ui| {
        match cameras.get(ui.ctx()) {
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
        if ui.button("Look again").clicked() {
            cameras.forget();
        }
    })
    .response
    .on_hover_text("Cameras of this machine, with size and rate");
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
