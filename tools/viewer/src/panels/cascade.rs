//! The walk through the stages of one frame.

use egui::{Color32, RichText, Sense, TextureHandle, Ui, vec2};
use mtcmcn::cascade::{Config, Judged, Trace};

use crate::keys::Action;
use crate::stages::{self, Stage};

/// Crops that are shown at most.
pub const MOST_CROPS: usize = 240;

/// The steps as a list, with the one at hand explained. Returns the step that was chosen, if any.
pub fn show(ui: &mut Ui, trace: &Trace, config: &Config, at: usize, actions: &mut Vec<Action>) -> Option<usize> {
    let walk = stages::walk(trace);
    let mut chosen = None;
    ui.horizontal(|ui| {
        ui.heading("Inside the cascade");
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            if ui.button("Next").on_hover_text("The next stage (right arrow)").clicked() {
                actions.push(Action::Stage(1));
            }
            if ui.button("Back").on_hover_text("The stage before (left arrow)").clicked() {
                actions.push(Action::Stage(-1));
            }
        });
    });
    let &stage = walk.get(at)?;
    ui.add_space(4.0);
    ui.label(RichText::new(format!("{}. {}", at + 1, stage.title())).strong().size(15.0));
    ui.label(stage.lesson(trace, config));
    ui.add_space(4.0);
    ui.separator();
    for (index, &other) in walk.iter().enumerate() {
        ui.horizontal(|ui| {
            if ui.selectable_label(index == at, other.title()).clicked() {
                chosen = Some(index);
            }
            let note = match other {
                Stage::Heat(level) => trace.heat.get(level).map(|map| format!("{} x {} px", map.size[0], map.size[1])),
                _ => other.count(trace).map(|count| count.to_string()),
            };
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                ui.label(RichText::new(note.unwrap_or_default()).monospace())
            });
        });
    }
    chosen
}

/// Crops that a net was shown, likeliest first, in a grid that scrolls; outlined in green if they passed.
pub fn crops(ui: &mut Ui, judged: &[Judged], side: u32, texture: &TextureHandle) {
    let (columns, rows) = atlas_cells(judged.len());
    let shown = if side < 40 { 36.0 } else { 64.0 };
    egui::ScrollArea::vertical().id_salt("crops").auto_shrink([false, false]).show(ui, |ui| {
        ui.horizontal_wrapped(|ui| {
            ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
            for (place, index) in order(judged).into_iter().enumerate() {
                let judged = &judged[index];
                let (rect, response) = ui.allocate_exact_size(vec2(shown, shown + 14.0), Sense::hover());
                let picture = egui::Rect::from_min_size(rect.min, vec2(shown, shown));
                let cell = vec2(1.0 / columns as f32, 1.0 / rows as f32);
                let min = egui::pos2((place % columns) as f32 * cell.x, (place / columns) as f32 * cell.y);
                ui.painter().image(texture.id(), picture, egui::Rect::from_min_size(min, cell), Color32::WHITE);
                let colour = if judged.passed { crate::overlay::FACE } else { Color32::from_gray(110) };
                ui.painter().rect_stroke(picture, 0.0, egui::Stroke::new(2.0, colour), egui::StrokeKind::Outside);
                let score = format!("{:.2}", judged.score);
                let at = egui::pos2(picture.center().x, rect.max.y);
                ui.painter().text(at, egui::Align2::CENTER_BOTTOM, score, egui::FontId::proportional(11.0), ui.visuals().text_color());
                let (b, before, score) = (judged.square, judged.before, judged.score);
                response.on_hover_text(format!("{score:.4}, before {before:.4}, at {:.0}, {:.0}, {:.0} px a side", b.x1, b.y1, b.width()));
            }
        });
        if judged.len() > MOST_CROPS {
            ui.label(format!("and {} more, less likely", judged.len() - MOST_CROPS));
        }
    });
}

/// Indices of the crops to show, likeliest first.
fn order(judged: &[Judged]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..judged.len()).collect();
    order.sort_by(|&a, &b| judged[b].score.total_cmp(&judged[a].score).then(a.cmp(&b)));
    order.truncate(MOST_CROPS);
    order
}

/// Columns and rows of the crops' atlas.
fn atlas_cells(count: usize) -> (usize, usize) {
    let columns = 16;
    (columns, count.min(MOST_CROPS).div_ceil(columns).max(1))
}

/// All crops to show in one image, in the order in which they are shown.
pub fn atlas(judged: &[Judged], side: u32) -> egui::ColorImage {
    let side = side as usize;
    let (columns, rows) = atlas_cells(judged.len());
    let mut image = egui::ColorImage::filled([columns * side, rows * side], Color32::BLACK);
    for (place, index) in order(judged).into_iter().enumerate() {
        let (left, top) = (place % columns * side, place / columns * side);
        for (i, pixel) in judged[index].pixels.chunks_exact(4).enumerate() {
            let at = (top + i / side) * columns * side + left + i % side;
            image.pixels[at] = Color32::from_rgb(pixel[0], pixel[1], pixel[2]);
        }
    }
    image
}

#[cfg(test)]
mod tests {
    use mtcmcn::geometry::BoundingBox;

    use super::*;

    fn judged(score: f32, grey: u8) -> Judged {
        let square = BoundingBox { x1: 0.0, y1: 0.0, x2: 9.0, y2: 9.0 };
        Judged { square, bounding_box: square, before: 0.9, score, passed: score > 0.5, pixels: vec![grey; 24 * 24 * 4] }
    }

    #[test]
    fn the_atlas_has_the_likeliest_crops_first() {
        let all: Vec<Judged> = (0..300u16).map(|i| judged(f32::from(i) / 300.0, (i % 256) as u8)).collect();
        let image = atlas(&all, 24);
        assert_eq!(image.size, [16 * 24, 15 * 24]);
        assert_eq!(image.pixels[0], Color32::from_gray((299 % 256) as u8));
        assert_eq!(image.pixels[24], Color32::from_gray((298 % 256) as u8));
        assert_eq!(atlas(&[], 24).size, [16 * 24, 24]);
    }
}
