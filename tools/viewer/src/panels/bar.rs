//! The line above the picture: what is played, how fast, and the most used buttons; and the line below it,
//! with messages.

use egui::{Align, Color32, Layout, RichText, Ui};

use crate::keys::Action;

/// What the bar shows.
#[derive(Debug, Default)]
pub struct Status {
    /// Held.
    pub paused: bool,
    /// Looking inside the cascade.
    pub cascade: bool,
    /// Frames recorded so far, while recording.
    pub recorded: Option<u64>,
    /// Engine, rate, latency, faces, dropped frames.
    pub text: String,
}

/// Buttons at the left, numbers at the right; where both do not fit, the numbers are cut off.
pub fn show(ui: &mut Ui, status: &Status, actions: &mut Vec<Action>) {
    ui.horizontal(|ui| {
        let mut button = |ui: &mut Ui, on: bool, text: &str, hint: &str, action: Action| {
            if ui.selectable_label(on, text).on_hover_text(hint).clicked() {
                actions.push(action);
            }
        };
        button(
            ui,
            status.paused,
            if status.paused { "Resume" } else { "Pause" },
            "Hold the source, or let it go on (Space)",
            Action::Pause,
        );
        button(ui, false, "<", "One frame back (,)", Action::Frame(-1));
        button(ui, false, ">", "One frame on (.)", Action::Frame(1));
        ui.separator();
        button(ui, status.cascade, "Cascade", "Walk through the stages of this frame (I; left and right arrow)", Action::Cascade);
        ui.separator();
        button(ui, false, "Snapshot", "Save the frame and what was found (S)", Action::Snapshot);
        button(ui, false, "Faces", "Save every face, aligned (K)", Action::Crops);
        let text = status.recorded.map_or_else(|| "Record".to_owned(), |frames| format!("Recording {frames}"));
        button(ui, status.recorded.is_some(), &text, "One line of JSON a frame, as `mtcmcn detect --json` prints (R)", Action::Record);
        ui.separator();
        button(ui, false, "Full screen", "The whole screen, or a window again (F)", Action::FullScreen);
        button(ui, false, "Keys", "The list of keys (F1)", Action::Help);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(egui::Label::new(RichText::new(&status.text).monospace()).truncate());
        });
    });
}

/// The last message and a way to be rid of it. Returns whether it was dismissed.
pub fn message(ui: &mut Ui, text: &str, more: usize) -> bool {
    let warn: Color32 = ui.visuals().warn_fg_color;
    ui.horizontal(|ui| {
        let dismissed = ui.button("OK").on_hover_text("Put the message away").clicked();
        // What drivers say has many lines.
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = if more > 0 { format!("{line}   ({more} more before)") } else { line };
        ui.add(egui::Label::new(RichText::new(&text).color(warn)).truncate()).on_hover_text(text);
        dismissed
    })
    .inner
}
