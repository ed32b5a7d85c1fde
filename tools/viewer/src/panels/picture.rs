//! The picture with what is drawn over it, and the strip of aligned faces.

use std::sync::Arc;

use egui::{Align2, FontId, Rect, Sense, TextureHandle, Ui, pos2, vec2};
use mtcmcn::cascade::HeatMap;

use crate::overlay;
use crate::picture::{MOST_QUADS, Quad, paint};
use crate::settings::Show;
use crate::stages::{Mark, Stage};
use crate::view::View;
use crate::worker::Shown;

/// Side of an aligned face in the strip, points.
const CROP: f32 = 72.0;

/// What is drawn of the cascade instead of the faces.
pub struct Inside<'a> {
    /// The step at hand.
    pub stage: Stage,
    /// Its boxes.
    pub marks: &'a [Mark],
    /// Its map.
    pub heat: Option<(&'a HeatMap, &'a TextureHandle)>,
}

/// The picture over all the room there is; wheel, drag and double click move it. `empty` is said where there
/// is no frame. Returns where the frame lies.
pub fn show(ui: &mut Ui, shown: Option<&Shown>, view: &mut View, show: &Show, inside: Option<&Inside<'_>>, empty: &str) -> Option<Rect> {
    let (area, response) = ui.allocate_exact_size(ui.available_size(), Sense::click_and_drag());
    let painter = ui.painter_at(area);
    let Some(shown) = shown else {
        painter.text(area.center(), Align2::CENTER_CENTER, empty, FontId::proportional(16.0), ui.visuals().text_color());
        return None;
    };
    let frame = &shown.taken.frame;
    let size = [frame.width(), frame.height()];
    let placement = view.place(area, size, show.mirror)?;
    if response.double_clicked() {
        *view = View::default();
    } else if response.dragged() {
        view.pan(response.drag_delta(), &placement);
    }
    if let Some(pointer) = response.hover_pos() {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = pinch * (scroll / 200.0).exp();
        if factor != 1.0 {
            view.zoom(factor, pointer, &placement);
        }
    }
    let placement = view.place(area, size, show.mirror)?;
    let pixels = ui.ctx().pixels_per_point();
    if let Some(picture) = &shown.picture
        && let Some(quad) = Quad::of_frame(&placement, area, picture.size(), pixels)
    {
        painter.add(paint(area, Arc::clone(picture), vec![quad]));
    }
    match inside {
        Some(inside) if inside.stage != Stage::Faces => {
            if let Some((map, texture)) = inside.heat {
                overlay::heat_map(&painter, &placement, map, texture);
            }
            overlay::marks(&painter, &placement, inside.marks);
        }
        _ => {
            if show.boxes {
                overlay::boxes(&painter, &placement, &shown.faces);
            }
            if show.landmarks {
                overlay::landmarks(&painter, &placement, &shown.faces);
            }
        }
    }
    Some(placement.rect)
}

/// Every face turned upright, in a row as long as there is room.
pub fn strip(ui: &mut Ui, shown: Option<&Shown>) {
    let (area, _) = ui.allocate_exact_size(vec2(ui.available_width(), CROP + 4.0), Sense::hover());
    let Some((shown, picture)) = shown.and_then(|shown| Some((shown, shown.picture.as_ref()?))) else { return };
    let room = (((area.width() - 4.0) / (CROP + 6.0)) as usize).min(MOST_QUADS);
    let scale = picture.size()[0] as f32 / shown.taken.frame.width() as f32;
    let pixels = ui.ctx().pixels_per_point();
    let rect = |place: usize| Rect::from_min_size(pos2(area.min.x + 2.0 + place as f32 * (CROP + 6.0), area.min.y + 2.0), vec2(CROP, CROP));
    let faces: Vec<_> = shown.faces.iter().take(room).enumerate().collect();
    let quads = faces
        .iter()
        .filter_map(|(place, tracked)| Quad::of_face(&tracked.face.landmarks, rect(*place), area, picture.size(), scale, pixels));
    let painter = ui.painter_at(area);
    painter.add(paint(area, Arc::clone(picture), quads.collect()));
    for (place, tracked) in &faces {
        painter.rect_stroke(rect(*place), 0.0, egui::Stroke::new(2.0, overlay::colour(tracked.id)), egui::StrokeKind::Outside);
    }
    let more = shown.faces.len().saturating_sub(room);
    if more > 0 {
        let at = pos2(area.max.x - 6.0, area.max.y - 4.0);
        painter.text(at, Align2::RIGHT_BOTTOM, format!("+{more}"), FontId::proportional(14.0), ui.visuals().strong_text_color());
    }
}
