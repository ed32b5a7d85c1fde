//! How fast it goes: plots of latency and rate, candidates and times of the stages.

use std::time::{Duration, Instant};

use egui::{Align2, Color32, FontId, RichText, Ui, vec2};
use egui_plot::{HLine, LineStyle, Plot, PlotPoints, Points};
use mtcmcn::cascade::StageCounts;

use crate::stats::{Sample, Stats};

/// Frames a second that the paper claims, on a GPU and on a CPU.
pub const PAPER_FPS: [f64; 2] = [99.0, 16.0];

/// Their lines.
const PAPER: [Color32; 2] = [Color32::from_rgb(230, 110, 60), Color32::from_rgb(150, 110, 230)];

/// What the panel shows.
#[derive(Debug)]
pub struct Speed<'a> {
    /// Latencies and rates.
    pub stats: &'a Stats,
    /// Candidates of the last frame.
    pub counts: Option<StageCounts>,
    /// Times of the stages, when they were last taken.
    pub times: &'a [(&'static str, Duration)],
    /// Frames of the source, and those that a newer one replaced unseen.
    pub given: u64,
    /// See `given`.
    pub dropped: u64,
}

/// Two plots and two columns of numbers.
pub fn show(ui: &mut Ui, speed: &Speed<'_>) {
    let height = ui.available_height().max(60.0);
    let numbers = 320.0_f32.min(ui.available_width() * 0.4);
    let width = ((ui.available_width() - numbers - 24.0) / 2.0).max(80.0);
    let now = Instant::now();
    let points = |y: &dyn Fn(&Sample) -> f64| -> PlotPoints<'static> {
        speed.stats.samples().map(|sample| [-now.saturating_duration_since(sample.at).as_secs_f64(), y(sample)]).collect()
    };
    let line = if ui.visuals().dark_mode { Color32::from_rgb(110, 200, 255) } else { Color32::from_rgb(0, 100, 190) };
    let plot = |ui: &mut Ui, name: &str, unit: f64, points: PlotPoints<'static>| {
        let lines = PAPER_FPS.map(|fps| if unit > 1.0 { unit / fps } else { fps });
        let shown = Plot::new(name)
            .width(width)
            .height(height)
            .allow_zoom(false)
            .allow_drag(false)
            .allow_scroll(false)
            .allow_boxed_zoom(false)
            .show_background(false)
            .show_grid([false, true])
            .include_y(0.0);
        let shown = shown.show(ui, |plot| {
            plot.points(Points::new(name, points).color(line).radius(1.5));
            for (colour, fps) in PAPER.into_iter().zip(lines) {
                plot.hline(HLine::new("paper", fps).color(colour).style(LineStyle::dashed_dense()));
            }
        });
        let corner = shown.transform.frame().left_top() + vec2(8.0, 18.0);
        ui.painter().text(corner, Align2::LEFT_TOP, name, FontId::proportional(13.0), line);
    };
    ui.horizontal(|ui| {
        plot(ui, "latency, ms", 1000.0, points(&|sample| sample.latency.as_secs_f64() * 1e3));
        plot(ui, "frames/s", 1.0, points(&|sample| sample.fps));
        ui.vertical(|ui| egui::ScrollArea::vertical().id_salt("numbers").show(ui, |ui| figures(ui, speed)));
    });
}

fn figures(ui: &mut Ui, speed: &Speed<'_>) {
    let ms = |share: f64| speed.stats.latency_ms(share).map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
    ui.label(format!("latency {} ms median, {} ms p95", ms(0.5), ms(0.95)));
    let share = if speed.given > 0 { 100.0 * speed.dropped as f64 / speed.given as f64 } else { 0.0 };
    ui.label(format!("{} of {} frames dropped ({share:.0} %)", speed.dropped, speed.given))
        .on_hover_text("The search takes the newest frame; frames that come while it is busy are passed over");
    ui.horizontal(|ui| {
        for ((colour, fps), on) in PAPER.into_iter().zip(PAPER_FPS).zip(["GPU", "CPU"]) {
            ui.colored_label(colour, format!("--- paper, {on}: {fps} fps"));
        }
    });
    let Some(counts) = speed.counts else { return };
    egui::Grid::new("figures").num_columns(4).spacing([8.0, 2.0]).show(ui, |ui| {
        let rows = [
            ("P-Net cells", counts.cells),
            ("NMS in levels", counts.level_nms),
            ("NMS: R-Net crops", counts.merged),
            ("R-Net passed", counts.rnet),
            ("NMS: O-Net crops", counts.rnet_nms),
            ("O-Net passed", counts.onet),
            ("faces", counts.faces),
        ];
        for (i, (name, count)) in rows.into_iter().enumerate() {
            ui.label(name);
            number(ui, &count.to_string());
            if let Some((part, time)) = speed.times.get(i) {
                ui.label(*part);
                number(ui, &format!("{:.1} ms", time.as_secs_f64() * 1e3));
            }
            ui.end_row();
        }
    });
}

fn number(ui: &mut Ui, text: &str) {
    ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| ui.label(RichText::new(text).monospace()));
}
