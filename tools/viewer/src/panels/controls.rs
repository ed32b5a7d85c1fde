//! The detector's settings.

use egui::{ComboBox, DragValue, RichText, Slider, Ui};

use crate::keys::Action;
use crate::settings::{Detection, Settings, Theme};

/// Devices by the words that the settings take.
const DEVICES: [(&str, &str, &str); 5] = [
    ("auto", "automatic", "the window's GPU, or the CPU engine where the window is drawn by software"),
    ("window", "the window's device", "search on the device that draws, even a software one: the frame is uploaded once for both"),
    ("cpu", "CPU engine", "native code on all cores"),
    ("gl", "OpenGL", "the first OpenGL adapter that can compute"),
    ("twin", "twin (slow)", "the scalar reference of every kernel: seconds a frame"),
];

/// Sliders and fields for every setting; changes act on the next frame.
pub fn show(ui: &mut Ui, settings: &mut Settings, adapters: Option<&[String]>, weights: &mut String, actions: &mut Vec<Action>) {
    let detection = &mut settings.detection;
    ui.horizontal(|ui| {
        ui.heading("Detection");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("Reset").on_hover_text("Every setting of the detector to its default").clicked() {
                actions.push(Action::Reset);
            }
        });
    });
    numbers(ui, detection);
    ui.checkbox(&mut detection.mirror_landmarks, "Average landmarks")
        .on_hover_text("Landmarks are the mean over each face and its mirror image: steadier, O-Net runs twice");
    ui.separator();
    ui.heading("Engine");
    device(ui, detection, adapters);
    ui.horizontal(|ui| {
        ui.label("Weights").on_hover_text("A safetensors file of the three nets; empty for the default weights. Enter takes it");
        let field = egui::TextEdit::singleline(weights).hint_text("default").desired_width(f32::INFINITY);
        let response = ui.add(field);
        if response.lost_focus() {
            let text = weights.trim();
            detection.weights = (!text.is_empty()).then(|| text.into());
        }
    });
}

/// A labelled slider over the whole width.
fn slider(ui: &mut Ui, label: &str, hint: &str, slider: Slider<'_>) {
    ui.label(label).on_hover_text(hint);
    ui.spacing_mut().slider_width = (ui.available_width() - 70.0).max(60.0);
    ui.add(slider).on_hover_text(hint);
    ui.end_row();
}

fn numbers(ui: &mut Ui, detection: &mut Detection) {
    egui::Grid::new("numbers").num_columns(2).spacing([8.0, 6.0]).show(ui, |ui| {
        let hint = "Smallest face side that is searched for, in pixels of the frame; half of it takes about four times as long";
        slider(
            ui,
            "Min face",
            hint,
            Slider::new(&mut detection.min_face_px, 12.0..=400.0).logarithmic(true).suffix(" px").fixed_decimals(0),
        );
        let hint = "Size of one level of the image pyramid relative to the one before, without unit; nearer to 1 is finer and slower";
        slider(ui, "Factor", hint, Slider::new(&mut detection.factor, 0.5..=0.95).fixed_decimals(3));
        for (net, threshold) in ["P-Net", "R-Net", "O-Net"].into_iter().zip(&mut detection.thresholds) {
            let hint = format!("Face probability from 0 to 1 that a candidate needs to pass {net}");
            slider(ui, net, &hint, Slider::new(threshold, 0.0..=1.0).fixed_decimals(2));
        }
        let hint = "At most this many faces a frame, best first";
        ui.label("Max faces").on_hover_text(hint);
        ui.add(DragValue::new(&mut detection.max_faces).range(1..=10_000)).on_hover_text(hint);
        ui.end_row();
    });
}

fn device(ui: &mut Ui, detection: &mut Detection, adapters: Option<&[String]>) {
    let known = DEVICES.iter().find(|(name, ..)| *name == detection.device);
    let selected = known.map_or_else(|| detection.device.clone(), |(_, text, _)| (*text).to_owned());
    let width = ui.available_width() - 8.0;
    let combo = ComboBox::from_id_salt("device").width(width).truncate().selected_text(selected).show_ui(ui, |ui| {
        for (name, text, hint) in DEVICES {
            ui.selectable_value(&mut detection.device, name.to_owned(), text).on_hover_text(hint);
        }
        ui.separator();
        match adapters {
            None => drop(ui.label(RichText::new("looking for adapters ...").weak())),
            Some([]) => drop(ui.label(RichText::new("no adapters").weak())),
            Some(adapters) => adapters.iter().for_each(|name| {
                ui.selectable_value(&mut detection.device, name.clone(), name)
                    .on_hover_text("This adapter, opened for the search alone: the frame goes up twice");
            }),
        }
    });
    combo.response.on_hover_text("Where the search runs. If a device does not open or fails, the CPU engine goes on and a message says so");
}

/// Light or dark, and the size of text.
pub fn appearance(ui: &mut Ui, settings: &mut Settings) {
    ui.horizontal_wrapped(|ui| {
        for (theme, text) in [(Theme::System, "System"), (Theme::Light, "Light"), (Theme::Dark, "Dark")] {
            ui.selectable_value(&mut settings.theme, theme, text);
        }
    });
    ui.horizontal_wrapped(|ui| {
        let hint = "Size of text and widgets, in percent (also Ctrl + and Ctrl -)";
        for (zoom, text) in [(1.0, "100 %"), (1.5, "150 %"), (2.0, "200 %")] {
            if ui.selectable_label(ui.ctx().zoom_factor() == zoom, text).on_hover_text(hint).clicked() {
                ui.ctx().set_zoom_factor(zoom);
            }
        }
    });
}

/// What is drawn over the picture.
pub fn overlays(ui: &mut Ui, settings: &mut Settings) {
    let show = &mut settings.show;
    egui::Grid::new("overlays").num_columns(2).spacing([16.0, 4.0]).show(ui, |ui| {
        ui.checkbox(&mut show.boxes, "Boxes").on_hover_text("Box, number and score of every face (B)");
        ui.checkbox(&mut show.landmarks, "Landmarks").on_hover_text("Eyes, nose and mouth corners (L)");
        ui.end_row();
        ui.checkbox(&mut show.crops, "Aligned faces")
            .on_hover_text("Every face turned upright, as recognition takes it, below the picture");
        ui.checkbox(&mut show.mirror, "Mirror").on_hover_text("Turn left and right, as a mirror does (M)");
        ui.end_row();
        let hint = "Faces keep their number from frame to frame and are lightly smoothed (T). Not for single images";
        ui.checkbox(&mut show.tracking, "Tracking").on_hover_text(hint);
        ui.checkbox(&mut show.speed, "Speed").on_hover_text("Plots of latency and rate (P)");
        ui.end_row();
        let hint = "Once a second a frame is searched step by step, with a clock for each stage";
        ui.checkbox(&mut show.stage_times, "Stage times").on_hover_text(hint);
        ui.end_row();
    });
}
