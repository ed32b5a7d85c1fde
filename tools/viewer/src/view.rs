//! Where the frame lies on the screen: fitted, zoomed, shifted, mirrored. Points of the screen are egui's
//! logical points.

use egui::{Pos2, Rect, Vec2, pos2, vec2};
use mtcmcn::geometry::BoundingBox;

/// Most and least enlargement over the fitted picture.
const ZOOM: [f32; 2] = [1.0, 64.0];

/// What the user looks at: 1 is the whole frame.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    zoom: f32,
    /// The frame's point in the middle of the area, as a share of its sides.
    centre: Vec2,
}

impl Default for View {
    fn default() -> Self {
        Self { zoom: 1.0, centre: vec2(0.5, 0.5) }
    }
}

/// The frame placed on an area of the screen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// The whole frame, which may reach outside the area.
    pub rect: Rect,
    /// Columns and rows, px.
    pub size: Vec2,
    /// Left and right change places.
    pub mirror: bool,
}

impl View {
    /// Places a frame of `size` pixels on `area`; `None` if either has no extent.
    pub fn place(&self, area: Rect, size: [u32; 2], mirror: bool) -> Option<Placement> {
        let size = vec2(size[0] as f32, size[1] as f32);
        if !(area.width() >= 1.0 && area.height() >= 1.0 && size.x >= 1.0 && size.y >= 1.0) {
            return None;
        }
        let scale = (area.width() / size.x).min(area.height() / size.y) * self.zoom;
        let drawn = size * scale;
        let min = area.center() - drawn * self.centre;
        Some(Placement { rect: Rect::from_min_size(min, drawn), size, mirror })
    }

    /// Enlarges by `factor` about the screen's point `about`, which stays where it is.
    pub fn zoom(&mut self, factor: f32, about: Pos2, placement: &Placement) {
        let before = self.zoom;
        self.zoom = (self.zoom * factor).clamp(ZOOM[0], ZOOM[1]);
        let grown = self.zoom / before;
        let share = (about - placement.rect.min) / placement.rect.size();
        // about = area.center + (share - centre) * drawn, before and after.
        self.centre = share + (self.centre - share) / grown;
        self.hold();
    }

    /// Enlarges by `factor` about the middle.
    pub fn magnify(&mut self, factor: f32) {
        self.zoom = (self.zoom * factor).clamp(ZOOM[0], ZOOM[1]);
        self.hold();
    }

    /// Shifts the frame by `by` points.
    pub fn pan(&mut self, by: Vec2, placement: &Placement) {
        self.centre -= by / placement.rect.size();
        self.hold();
    }

    /// Keeps some of the frame in the middle of the area, and all of it centred at zoom 1.
    fn hold(&mut self) {
        let room = 0.5 - 0.5 / self.zoom;
        self.centre = self.centre.clamp(vec2(0.5 - room, 0.5 - room), vec2(0.5 + room, 0.5 + room));
    }
}

impl Placement {
    /// Points per frame pixel.
    pub fn scale(&self) -> f32 {
        self.rect.width() / self.size.x
    }

    /// Where a point in `image` space lies on the screen.
    pub fn screen_from_image(&self, x: f32, y: f32) -> Pos2 {
        let x = if self.mirror { self.size.x - x } else { x };
        pos2(self.rect.min.x + x * self.scale(), self.rect.min.y + y * self.scale())
    }

    /// Where a box lies on the screen.
    pub fn screen_rect(&self, b: &BoundingBox) -> Rect {
        Rect::from_two_pos(self.screen_from_image(b.x1, b.y1), self.screen_from_image(b.x2, b.y2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Rect = Rect { min: Pos2 { x: 100.0, y: 50.0 }, max: Pos2 { x: 900.0, y: 650.0 } };

    #[test]
    fn a_frame_is_fitted_and_centred() {
        let placement = View::default().place(AREA, [400, 200], false).expect("both have an extent");
        assert_eq!(placement.rect, Rect::from_min_max(pos2(100.0, 150.0), pos2(900.0, 550.0)));
        assert_eq!(placement.screen_from_image(200.0, 100.0), AREA.center());
        assert_eq!(placement.screen_from_image(0.0, 0.0), pos2(100.0, 150.0));
    }

    #[test]
    fn a_mirror_turns_left_and_right() {
        let placement = View::default().place(AREA, [400, 200], true).expect("both have an extent");
        let b = BoundingBox { x1: 0.0, y1: 0.0, x2: 100.0, y2: 50.0 };
        assert_eq!(placement.screen_rect(&b), Rect::from_min_max(pos2(700.0, 150.0), pos2(900.0, 250.0)));
    }

    #[test]
    fn the_point_under_the_pointer_stays_while_zooming() {
        let mut view = View::default();
        let place = |view: &View| view.place(AREA, [640, 480], false).expect("both have an extent");
        let about = pos2(450.0, 400.0);
        let at = |view: &View| (about - place(view).rect.min) / place(view).rect.size();
        let before = at(&view);
        let placement = place(&view);
        view.zoom(3.0, about, &placement);
        let after = at(&view);
        assert!((before - after).length() < 1e-4, "{before} {after}");
        let placement = place(&view);
        view.pan(vec2(1e6, -1e6), &placement);
        let placement = place(&view);
        assert!(placement.rect.contains(AREA.center()));
        view.zoom(1e-6, about, &placement);
        assert_eq!(place(&view), place(&View::default()));
    }

    #[test]
    fn nothing_is_placed_on_nothing() {
        assert_eq!(View::default().place(Rect::ZERO, [640, 480], false), None);
        assert_eq!(View::default().place(AREA, [0, 480], false), None);
        assert_eq!(View::default().place(Rect::NAN, [640, 480], false), None);
    }
}
