//! The list of keys.

use egui::Ui;

use crate::keys;

/// Every key with what it does.
pub fn show(ui: &mut Ui) {
    egui::Grid::new("keys").num_columns(2).striped(true).spacing([16.0, 4.0]).show(ui, |ui| {
        for (_, name, _, what) in keys::table() {
            ui.strong(name);
            ui.label(what);
            ui.end_row();
        }
    });
    ui.add_space(4.0);
    ui.label("Drop an image, a folder or a video on the window to open it.");
}
