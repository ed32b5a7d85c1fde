//! How the window is divided.

use std::fmt::Write as _;

use egui::{CentralPanel, Frame, Margin, Panel, ScrollArea, Ui};

use crate::app::App;
use crate::feed::Feed;
use crate::keys::{self, Action};
use crate::panels::{bar, cascade, controls, help, picture, source, speed};
use crate::source::SourceSpec;
use crate::stages::Stage;

impl App {
    /// One frame of the window.
    pub fn show(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        self.follow(&ctx);
        let mut actions = keys::pressed(&ctx);
        actions.extend(dropped(&ctx));
        self.bars(ui, &mut actions);
        if !self.full_screen {
            let side = Panel::right("side").resizable(false).exact_size(330.0);
            side.show(ui, |ui| ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| self.side(ui, &mut actions)));
        }
        if self.settings.show.speed && !self.full_screen {
            Panel::bottom("speed").resizable(true).default_size(224.0).size_range(110.0..=360.0).show(ui, |ui| self.speed(ui));
        }
        if self.walk.is_some() {
            let inside = Panel::left("inside").resizable(true).default_size(300.0).size_range(240.0..=420.0);
            inside.show(ui, |ui| ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| self.inside(ui, &mut actions)));
        }
        CentralPanel::default().frame(Frame::NONE).show(ui, |ui| self.middle(ui));
        if self.help {
            let window = egui::Window::new("Keys").open(&mut self.help).resizable(false).collapsible(false);
            window.pivot(egui::Align2::CENTER_CENTER).default_pos(ctx.content_rect().center()).show(&ctx, help::show);
        }
        for action in actions {
            self.act(&ctx, action);
        }
        self.settle(&ctx);
    }

    fn bars(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        // The board is let go before it is asked again.
        let recorded = self.worker.board().recorded;
        let text = self.status();
        let status = bar::Status { paused: self.paused, cascade: self.walk.is_some(), recorded, text };
        Panel::top("bar").show(ui, |ui| {
            ui.add_space(3.0);
            bar::show(ui, &status, actions);
            ui.add_space(3.0);
        });
        if let Some(message) = self.messages.last().cloned() {
            let dismissed = Panel::bottom("message").show(ui, |ui| bar::message(ui, &message, self.messages.len() - 1)).inner;
            if dismissed {
                self.messages.clear();
            }
        }
    }

    /// Engine, rate, latency, faces, dropped frames.
    fn status(&self) -> String {
        let board = self.worker.board();
        let mut text = board.engine.clone();
        if let Some(shown) = &self.shown {
            let faces = shown.detections.faces.len();
            let plural = if faces == 1 { "" } else { "s" };
            let fps = board.stats.fps();
            // Writing into a string does not fail.
            let _ = write!(text, "  {fps:.1} fps  {:.1} ms  {faces} face{plural}", shown.latency.as_secs_f64() * 1e3);
            if shown.detections.truncated {
                text += "  more candidates than there is room for";
            }
        }
        text
    }

    fn side(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        ui.add_space(4.0);
        ui.heading("Source");
        let current = self.feed.as_ref().map(|feed| feed.spec.clone());
        source::show(ui, current.as_ref(), &self.settings.recent, &mut self.path, &mut self.cameras, actions);
        let name = self.shown.as_ref().map(|shown| {
            let (frame, name) = (&shown.taken.frame, &shown.taken.name);
            format!("{name}, {} x {} px", frame.width(), frame.height())
        });
        let ended = self.feed.as_ref().is_some_and(Feed::ended);
        let state = if ended { "the source has ended" } else { "no frame yet" };
        let name = name.map_or_else(|| state.to_owned(), |name| if ended { format!("{name} (ended)") } else { name });
        ui.add(egui::Label::new(egui::RichText::new(&name).weak()).truncate()).on_hover_text(&name);
        ui.separator();
        let adapters = self.adapters.get().cloned();
        controls::show(ui, &mut self.settings, adapters.as_deref(), &mut self.weights, actions);
        ui.separator();
        ui.heading("Show");
        controls::overlays(ui, &mut self.settings);
        ui.separator();
        ui.heading("Appearance");
        controls::appearance(ui, &mut self.settings);
        ui.add_space(6.0);
    }

    fn speed(&self, ui: &mut Ui) {
        let (stats, times) = {
            let board = self.worker.board();
            (board.stats.clone(), board.times.clone())
        };
        let (given, dropped) = self.counts();
        let counts = self.shown.as_ref().map(|shown| shown.detections.counts);
        speed::show(ui, &speed::Speed { stats: &stats, counts, times: &times, given, dropped });
    }

    fn inside(&mut self, ui: &mut Ui, actions: &mut Vec<Action>) {
        let shown = self.shown.clone();
        let (Some(walk), Some(shown)) = (&mut self.walk, shown) else { return };
        let Some(trace) = &shown.trace else {
            ui.horizontal(|ui| {
                ui.spinner();
                ui.label("searching step by step ...");
            });
            return;
        };
        if let Some(chosen) = cascade::show(ui, trace, &shown.settings.config(), walk.at, actions) {
            walk.at = chosen;
        }
    }

    fn middle(&mut self, ui: &mut Ui) {
        let shown = self.shown.clone();
        let trace = shown.as_ref().and_then(|shown| shown.trace.as_ref());
        let walk = self.walk.as_ref().zip(trace);
        if let Some((walk, trace)) = walk
            && let (Some(texture), Some((judged, side))) = (
                &walk.texture,
                match walk.stage(trace) {
                    Stage::RnetCrops => Some((&trace.rnet, mtcmcn::cascade::Trace::RNET_SIDE)),
                    Stage::OnetCrops => Some((&trace.onet, mtcmcn::cascade::Trace::ONET_SIDE)),
                    _ => None,
                },
            )
        {
            let crops = Panel::bottom("crops of a net").resizable(true).default_size(190.0);
            crops.show(ui, |ui| cascade::crops(ui, judged, side, texture));
        } else if self.settings.show.crops {
            let margin = Margin::symmetric(4, 2);
            Panel::bottom("strip")
                .frame(Frame::side_top_panel(ui.style()).inner_margin(margin))
                .show(ui, |ui| picture::strip(ui, shown.as_deref()));
        }
        let inside = walk.map(|(walk, trace)| {
            let stage = walk.stage(trace);
            let heat = match stage {
                Stage::Heat(level) => trace.heat.get(level).zip(walk.texture.as_ref()),
                _ => None,
            };
            picture::Inside { stage, marks: &walk.marks, heat }
        });
        let empty = match self.feed.as_ref() {
            Some(feed) if feed.ended() => "no frame: see the message below",
            _ => "waiting for the first frame ...",
        };
        let rect = picture::show(ui, shown.as_deref(), &mut self.view, &self.settings.show, inside.as_ref(), empty);
        if let (Some(rect), Some(shown)) = (rect, &shown) {
            let pixels = ui.ctx().pixels_per_point();
            let [x, y, w, h] = [rect.min.x, rect.min.y, rect.width(), rect.height()].map(|points| points * pixels);
            let stage = walk.map_or_else(String::new, |(walk, trace)| walk.stage(trace).title());
            tracing::debug!("{:?} drawn at {x} {y} {w} {h} px, {} faces, {stage}", shown.taken.name, shown.detections.faces.len());
        }
    }
}

/// What was dropped on the window.
fn dropped(ctx: &egui::Context) -> Vec<Action> {
    let files = ctx.input(|input| input.raw.dropped_files.clone());
    files.iter().map(|file| Action::Open(SourceSpec::of_path(file.path()))).collect()
}
