//! What is drawn over the picture: boxes, landmarks, heat maps, candidates. Every bright stroke has a dark
//! one under it, so that it shows on any picture.

use egui::{Align2, Color32, FontId, Painter, Pos2, Rect, Stroke, StrokeKind, TextureHandle, pos2, vec2};
use mtcmcn::cascade::HeatMap;
use mtcmcn::video::Tracked;

use crate::stages::Mark;
use crate::view::Placement;

/// A face without a number.
pub const FACE: Color32 = Color32::from_rgb(60, 255, 90);
/// Landmarks.
const POINT: Color32 = Color32::from_rgb(255, 220, 0);
/// A candidate that the next stage drops.
const DROPPED: Color32 = Color32::from_gray(150);
const RIM: Color32 = Color32::from_black_alpha(190);

/// Faces with numbers take turns; all bright, all apart from the landmarks' yellow.
const TRACKS: [Color32; 6] = [
    Color32::from_rgb(60, 255, 90),
    Color32::from_rgb(70, 200, 255),
    Color32::from_rgb(255, 130, 60),
    Color32::from_rgb(255, 110, 220),
    Color32::from_rgb(170, 150, 255),
    Color32::from_rgb(90, 255, 230),
];

/// More faces than this get no label: they would cover each other.
const MOST_LABELS: usize = 60;

/// The colour of a face by its number.
pub fn colour(id: Option<u64>) -> Color32 {
    id.map_or(FACE, |id| TRACKS[(id.saturating_sub(1) % TRACKS.len() as u64) as usize])
}

/// Whole points, so that a stroke of whole width is sharp; what is not finite lies at the top left.
fn whole(rect: Rect) -> Rect {
    let round = |p: Pos2| if p.is_finite() { pos2(p.x.clamp(-1e6, 1e6).round(), p.y.clamp(-1e6, 1e6).round()) } else { Pos2::ZERO };
    Rect::from_min_max(round(rect.min), round(rect.max))
}

fn outline(painter: &Painter, rect: Rect, width: f32, colour: Color32) {
    painter.rect_stroke(rect, 0.0, Stroke::new(width + 2.0, RIM), StrokeKind::Middle);
    painter.rect_stroke(rect, 0.0, Stroke::new(width, colour), StrokeKind::Middle);
}

/// Boxes with number and score.
pub fn boxes(painter: &Painter, placement: &Placement, faces: &[Tracked]) {
    for tracked in faces.iter().rev() {
        outline(painter, whole(placement.screen_rect(&tracked.face.bounding_box)), 2.0, colour(tracked.id));
    }
    if faces.len() > MOST_LABELS {
        return;
    }
    for tracked in faces.iter().rev() {
        let text = match tracked.id {
            Some(id) => format!("#{id}  {:.2}", tracked.face.score),
            None => format!("{:.2}", tracked.face.score),
        };
        label(painter, whole(placement.screen_rect(&tracked.face.bounding_box)), &text, colour(tracked.id));
    }
}

/// `text` on a dark plate above `rect`, or below, or inside where there is no room.
fn label(painter: &Painter, rect: Rect, text: &str, colour: Color32) {
    let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(13.0), colour);
    let size = galley.size() + vec2(8.0, 4.0);
    let clip = painter.clip_rect();
    let (above, below) = (rect.min.y - size.y - 2.0, rect.max.y + 2.0);
    let outside = if above >= clip.min.y { above } else { below };
    let top = if outside + size.y <= clip.max.y { outside } else { (rect.min.y + 3.0).max(clip.min.y) };
    let left = rect.min.x.min(clip.max.x - size.x).max(clip.min.x);
    let plate = Rect::from_min_size(pos2(left, top), size);
    if plate.intersects(clip) {
        painter.rect_filled(plate, 3.0, Color32::from_black_alpha(210));
        painter.galley(plate.min + vec2(4.0, 2.0), galley, colour);
    }
}

/// Five points a face, smaller on small faces.
pub fn landmarks(painter: &Painter, placement: &Placement, faces: &[Tracked]) {
    for tracked in faces {
        let radius = (tracked.face.bounding_box.width() * placement.scale() / 40.0).clamp(1.5, 4.0);
        for point in tracked.face.landmarks {
            let at = placement.screen_from_image(point.x, point.y);
            if at.is_finite() {
                painter.circle_filled(at, radius + 1.0, RIM);
                painter.circle_filled(at, radius, POINT);
            }
        }
    }
}

/// Candidates of a stage: those that go on in the colour of their score, the others grey and under them.
pub fn marks(painter: &Painter, placement: &Placement, marks: &[Mark]) {
    let width = if marks.len() > 100 { 1.0 } else { 1.5 };
    for mark in marks.iter().filter(|mark| !mark.kept) {
        let rect = whole(placement.screen_rect(&mark.bounding_box));
        painter.rect_stroke(rect, 0.0, Stroke::new(width, DROPPED), StrokeKind::Middle);
    }
    // The best on top.
    for mark in marks.iter().rev().filter(|mark| mark.kept) {
        let rect = whole(placement.screen_rect(&mark.bounding_box));
        outline(painter, rect, width, heat(mark.score));
    }
}

/// From dark blue over red to yellow: the share of a probability.
pub fn heat(p: f32) -> Color32 {
    let stops = [[20.0, 20.0, 90.0], [120.0, 30.0, 160.0], [230.0, 60.0, 60.0], [255.0, 150.0, 40.0], [255.0, 245.0, 120.0]];
    let at = p.clamp(0.0, 1.0) * 4.0;
    let (low, share) = ((at.floor() as usize).min(3), at - at.floor().min(3.0));
    let [r, g, b] = std::array::from_fn(|c| (stops[low][c] + share * (stops[low + 1][c] - stops[low][c])) as u8);
    Color32::from_rgb(r, g, b)
}

/// A map's colours, cell by cell: the less likely, the more the picture shows through.
pub fn heat_image(map: &HeatMap) -> egui::ColorImage {
    let cell = |&p: &f32| heat(p).gamma_multiply(0.25 + 0.6 * p.clamp(0.0, 1.0));
    let pixels = map.probabilities.iter().map(cell).collect();
    egui::ColorImage::new([map.cells[0] as usize, map.cells[1] as usize], pixels)
}

/// Lays a map over the picture: each cell's colour around the middle of the window it looked at.
pub fn heat_map(painter: &Painter, placement: &Placement, map: &HeatMap, texture: &TextureHandle) {
    let frame_px = |level_px: f64| (level_px / map.scale) as f32;
    // Windows of 12 pixels, two apart: the middle of the first is at 6, cells are 2 wide.
    let (first, cell) = (frame_px(5.0), frame_px(2.0));
    let [w, h] = map.cells.map(|cells| cells as f32 * cell);
    let rect = Rect::from_two_pos(placement.screen_from_image(first, first), placement.screen_from_image(first + w, first + h));
    let uv = if placement.mirror {
        Rect::from_min_max(pos2(1.0, 0.0), pos2(0.0, 1.0))
    } else {
        Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0))
    };
    painter.image(texture.id(), rect, uv, Color32::WHITE);
    // The window itself, as a measure.
    let side = frame_px(12.0) * placement.scale();
    let corner = Rect::from_min_size(placement.rect.min + vec2(8.0, 8.0), vec2(side, side));
    outline(painter, whole(corner), 1.5, Color32::WHITE);
    if side > 44.0 {
        let text = format!("{:.0} px", frame_px(12.0));
        painter.text(corner.center(), Align2::CENTER_CENTER, text, FontId::proportional(12.0), Color32::WHITE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_grows_brighter_and_survives_anything() {
        let light = |p: f32| heat(p).intensity();
        assert!([0.0, 0.25, 0.5, 0.75, 1.0].windows(2).all(|pair| light(pair[0]) < light(pair[1])));
        assert_eq!((heat(-1.0), heat(7.0)), (heat(0.0), heat(1.0)));
        let _ = heat(f32::NAN);
    }

    #[test]
    fn what_is_not_finite_is_drawn_nowhere_far() {
        let rect = Rect::from_min_max(pos2(f32::NAN, 1.0), pos2(f32::INFINITY, 1e30));
        assert!(whole(rect).is_finite());
    }
}
