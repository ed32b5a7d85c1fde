//! Rendering of charts as SVG with plotters.

use plotters::chart::{ChartBuilder, ChartContext};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::drawing::{DrawingArea, IntoDrawingArea as _};
use plotters::element::{Circle, DashedPathElement, PathElement, Rectangle};
use plotters::prelude::SVGBackend;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, FontDesc, FontFamily, FontStyle, RGBColor, ShapeStyle, TextStyle, WHITE, register_font};

use super::ticks::{Ruler, value_label};
use super::{Axis, BarChart, LineChart, PlotError, Reference, Series};

/// Size of the drawing in its own units.
const SIZE: [u32; 2] = [800, 500];
/// The library supports integer coordinates only, so the sheet is enlarged by this factor and scaled back by
/// the viewBox.
const FINE: f64 = 8.0;

const INK: RGBColor = RGBColor(32, 32, 32);
const FAINT: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(225, 225, 225);
/// Colours that remain distinguishable with colour vision deficiency and in print (Okabe and Ito), darkened
/// where they would be faint on white.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 138, 100),
    RGBColor(190, 90, 150),
    RGBColor(202, 138, 0),
    RGBColor(58, 154, 205),
    RGBColor(70, 70, 70),
    RGBColor(140, 86, 75),
];

type Sheet<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Plane<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Along, Along>>;
/// Result of a drawing call; errors of the library are only used as text.
type Drawn<T> = Result<T, Box<dyn std::error::Error>>;

/// Adapter of a [`Ruler`] to the library's interface. The marks are fixed, whatever number the library asks
/// for.
struct Along {
    ruler: Ruler,
    marked: bool,
}

impl Ranged for Along {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        let [low, high] = self.ruler.ends;
        (f64::from(from) + (value - low) / (high - low) * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if self.marked && !hint.weight().allow_light_points() { self.ruler.marks.clone() } else { Vec::new() }
    }

    fn range(&self) -> std::ops::Range<f64> {
        self.ruler.ends[0]..self.ruler.ends[1]
    }
}

impl ValueFormatter<f64> for Along {
    fn format_ext(&self, value: &f64) -> String {
        self.ruler.label(*value)
    }
}

/// Converts `value` from the drawing's units to a coordinate of the sheet.
fn fine(value: f64) -> i32 {
    (value * FINE).round() as i32
}

/// A colour for each curve, no two alike: after the eight come the same eight lighter, then darker, and so on
/// by smaller steps.
fn colour(index: usize) -> RGBColor {
    let (RGBColor(r, g, b), lap) = (COLOURS[index % COLOURS.len()], index / COLOURS.len());
    let share = 0.45 * (1.0 - 0.6f64.powi(lap.div_ceil(2) as i32)) / 0.4;
    let towards = if lap % 2 == 1 { 255.0 } else { 0.0 };
    let [r, g, b] = [r, g, b].map(|channel| (f64::from(channel) + (towards - f64::from(channel)) * share).round() as u8);
    RGBColor(r, g, b)
}

fn font(size: f64, colour: RGBColor) -> TextStyle<'static> {
    let font = FontDesc::new(FontFamily::SansSerif, size * 1.24 * FINE, FontStyle::Normal);
    TextStyle { color: colour.to_backend_color(), ..TextStyle::from(font) }
}

fn stroke(colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width(fine(width).max(1) as u32)
}

fn text(sheet: &Sheet, text: &str, style: &TextStyle, [x, y]: [f64; 2], (horizontal, vertical): (HPos, VPos)) -> Drawn<()> {
    Ok(sheet.draw_text(text, &style.pos(Pos::new(horizontal, vertical)), (fine(x), fine(y)))?)
}

/// Returns the width of `text` in the drawing's units.
fn width(sheet: &Sheet, text: &str, style: &TextStyle) -> Drawn<f64> {
    Ok(f64::from(sheet.estimate_text_size(text, style)?.0) / FINE)
}

/// Draws on a white sheet and returns the document.
fn document(title: &str, draw: impl FnOnce(&Sheet) -> Drawn<()>) -> Result<String, PlotError> {
    let failed = |reason: String| PlotError::Draw { title: title.to_owned(), reason };
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).map_err(|_| failed("its font".to_owned()))?;
    let mut svg = String::new();
    let size = SIZE.map(|side| (f64::from(side) * FINE) as u32);
    {
        let sheet = SVGBackend::with_string(&mut svg, (size[0], size[1])).into_drawing_area();
        sheet.fill(&WHITE).map_err(|error| failed(error.to_string()))?;
        draw(&sheet).map_err(|error| failed(error.to_string()))?;
        sheet.present().map_err(|error| failed(error.to_string()))?;
    }
    let coarse = |[width, height]: [u32; 2]| format!("width=\"{width}\" height=\"{height}\"");
    Ok(svg.replacen(&coarse(size), &coarse(SIZE), 1))
}

/// Renders the line chart `chart`.
///
/// # Errors
///
/// [`PlotError::Draw`] if the library fails.
pub fn lines(chart: &LineChart) -> Result<String, PlotError> {
    document(&chart.title, |sheet| {
        let points = || chart.series.iter().flat_map(|series| &series.points);
        let x = Ruler::new(&chart.x, points().map(|point| point[0]), false);
        let y = Ruler::new(&chart.y, points().map(|point| point[1]).chain(chart.references.iter().map(|line| line.y)), false);
        let top = heading(sheet, &chart.title, &chart.note)?;
        let keys: Vec<_> = chart.series.iter().map(|series| (series.name.as_str(), series.dashed)).collect();
        let right = legend(sheet, top, &keys, false)?;
        let mut plane = plane(sheet, [top, right], (&chart.x, &x), (&chart.y, &y), true)?;
        references(sheet, &mut plane, &chart.references, &y)?;
        for (index, series) in chart.series.iter().enumerate().rev() {
            curve(&mut plane, series, colour(index), [&x, &y])?;
        }
        Ok(())
    })
}

/// Renders the bar chart `chart`.
///
/// # Errors
///
/// [`PlotError::Draw`] if the library fails.
pub fn bars(chart: &BarChart) -> Result<String, PlotError> {
    document(&chart.title, |sheet| {
        let values = chart.bars.iter().flat_map(|bars| &bars.values).copied();
        let groups = chart.groups.len().max(1) as f64;
        let y = Ruler::new(&chart.y, values.chain(chart.references.iter().map(|line| line.y)), true);
        let top = heading(sheet, &chart.title, &chart.note)?;
        let keys: Vec<_> = chart.bars.iter().map(|bars| (bars.name.as_str(), false)).collect();
        let right = legend(sheet, top, &keys, true)?;
        // Names of reference lines stand left of the bars.
        let mut names = 0f64;
        for line in &chart.references {
            names = names.max(width(sheet, &line.name, &font(10.0, INK))? + 8.0);
        }
        let across = (f64::from(SIZE[0]) - right - 50.0 - names).max(100.0);
        let x = Axis::new("").range(-groups * names / across, groups);
        let across_groups = Ruler::new(&x, [], false);
        let mut plane = plane(sheet, [top, right], (&x, &across_groups), (&chart.y, &y), false)?;
        let floor = y.ends[0].max(if chart.y.scale == super::Scale::Linear { 0.0f64.min(y.ends[1]) } else { y.ends[0] });
        let bar = 0.8 / chart.bars.len().max(1) as f64;
        let labels = bar * across / groups > 18.0;
        for (number, bars) in chart.bars.iter().enumerate() {
            for (group, &value) in bars.values.iter().enumerate().take(chart.groups.len()) {
                let end = y.position(value);
                if !end.is_finite() {
                    continue;
                }
                let left = group as f64 + 0.1 + number as f64 * bar;
                let corners = [(left + 0.04 * bar, floor), (left + 0.96 * bar, end.clamp(y.ends[0], y.ends[1]))];
                plane.draw_series([Rectangle::new(corners, colour(number).filled())])?;
                if labels {
                    let (px, py) = plane.backend_coord(&(left + 0.5 * bar, corners[1].1));
                    let place = [f64::from(px) / FINE, f64::from(py) / FINE - 3.0];
                    text(sheet, &value_label(value), &font(9.0, INK), place, (HPos::Center, VPos::Bottom))?;
                }
            }
        }
        group_names(sheet, &plane, &chart.groups, y.ends[0])?;
        references(sheet, &mut plane, &chart.references, &y)
    })
}

/// Draws title and note at the top left; returns their lower end.
fn heading(sheet: &Sheet, title: &str, note: &str) -> Drawn<f64> {
    let mut y = 14.0;
    let mut line = |words: &str, size: f64, ink| -> Drawn<()> {
        text(sheet, words, &font(size, ink), [16.0, y], (HPos::Left, VPos::Top))?;
        y += size * 1.3;
        Ok(())
    };
    if !title.is_empty() {
        line(title, 17.0, INK)?;
    }
    let small = font(11.0, FAINT);
    for paragraph in note.lines() {
        let mut row = String::new();
        for word in paragraph.split_whitespace() {
            let longer = if row.is_empty() { word.to_owned() } else { format!("{row} {word}") };
            if row.is_empty() || width(sheet, &longer, &small)? < f64::from(SIZE[0]) - 32.0 {
                row = longer;
            } else {
                line(&std::mem::replace(&mut row, word.to_owned()), 11.0, FAINT)?;
            }
        }
        line(&row, 11.0, FAINT)?;
    }
    Ok(y + 8.0)
}

/// Draws the names of the series at the right, below `top`; returns the width they take. A chart with one
/// series has no legend.
fn legend(sheet: &Sheet, top: f64, keys: &[(&str, bool)], filled: bool) -> Drawn<f64> {
    const SWATCH: f64 = 24.0;
    if keys.len() < 2 {
        return Ok(24.0);
    }
    let style = font(11.0, INK);
    let mut widest = 0f64;
    for (name, _) in keys {
        widest = widest.max(width(sheet, name, &style)?);
    }
    let room = (SWATCH + 8.0 + widest + 36.0).min(f64::from(SIZE[0]) * 0.45);
    let left = f64::from(SIZE[0]) - room + 20.0;
    for (index, (name, dashed)) in keys.iter().enumerate() {
        let y = top + 10.0 + index as f64 * 18.0;
        let line = [(fine(left), fine(y)), (fine(left + SWATCH), fine(y))];
        let ink = colour(index);
        match (filled, dashed) {
            (true, _) => sheet.draw(&Rectangle::new([(fine(left), fine(y - 5.0)), (fine(left + SWATCH), fine(y + 5.0))], ink.filled())),
            (_, true) => sheet.draw(&DashedPathElement::new(line, fine(5.0), fine(3.0), stroke(ink, 1.3))),
            _ => sheet.draw(&PathElement::new(line, stroke(ink, 2.0))),
        }?;
        text(sheet, name, &style, [left + SWATCH + 8.0, y], (HPos::Left, VPos::Center))?;
    }
    Ok(room)
}

/// Draws axes, marks and grid between `top` and the bottom of the sheet.
fn plane<'a, 'b>(
    sheet: &'a Sheet<'b>,
    [top, right]: [f64; 2],
    (x_axis, x): (&Axis, &Ruler),
    (y_axis, y): (&Axis, &Ruler),
    x_marks: bool,
) -> Drawn<Plane<'a, 'b>> {
    let small = font(11.0, INK);
    let mut widest = 0f64;
    for mark in &y.marks {
        widest = widest.max(width(sheet, &y.label(*mark), &small)?);
    }
    let left = widest + if y_axis.label.is_empty() { 14.0 } else { 36.0 };
    let mut plane = ChartBuilder::on(sheet)
        .margin_left(fine(8.0))
        .margin_bottom(fine(8.0))
        .margin_top(fine(top))
        .margin_right(fine(right))
        .x_label_area_size(fine(if x_axis.label.is_empty() { 44.0 } else { 48.0 }))
        .y_label_area_size(fine(left))
        .build_cartesian_2d(Along { ruler: x.clone(), marked: x_marks }, Along { ruler: y.clone(), marked: true })?;
    plane
        .configure_mesh()
        .bold_line_style(stroke(GRID, 0.8))
        .axis_style(stroke(FAINT, 1.0))
        .label_style(small)
        .axis_desc_style(font(12.0, INK))
        .set_all_tick_mark_size(fine(4.0))
        .x_desc(x_axis.label.as_str())
        .y_desc(y_axis.label.as_str())
        .draw()?;
    Ok(plane)
}

/// Draws one curve, which is interrupted at points that cannot be shown.
fn curve(plane: &mut Plane, series: &Series, colour: RGBColor, [x, y]: [&Ruler; 2]) -> Drawn<()> {
    let places: Vec<(f64, f64)> = series.points.iter().map(|point| (x.position(point[0]), y.position(point[1]))).collect();
    for piece in places.split(|place| !(place.0.is_finite() && place.1.is_finite())) {
        // The curve is clipped here because the library draws beyond the axes.
        for run in inside(piece, x.ends, y.ends) {
            if run.len() == 1 {
                // A single point is drawn as a dot, below.
            } else if series.dashed {
                let style = stroke(colour, 1.3);
                plane.draw_series([DashedPathElement::new(run.clone(), fine(5.0), fine(3.0), style)])?;
            } else {
                plane.draw_series([PathElement::new(run.clone(), stroke(colour, 2.0))])?;
            }
            if series.dots || run.len() == 1 {
                plane.draw_series(run.iter().map(|place| Circle::new(*place, fine(2.6), colour.filled())))?;
            }
        }
    }
    Ok(())
}

/// Returns the parts of a polyline within the axes; segments are clipped where they cross them (Liang and
/// Barsky).
fn inside(line: &[(f64, f64)], x: [f64; 2], y: [f64; 2]) -> Vec<Vec<(f64, f64)>> {
    let mut runs: Vec<Vec<(f64, f64)>> = Vec::new();
    if let [point] = line {
        let seen = (x[0]..=x[1]).contains(&point.0) && (y[0]..=y[1]).contains(&point.1);
        return if seen { vec![vec![*point]] } else { Vec::new() };
    }
    for pair in line.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let mut span = [0.0f64, 1.0];
        for (step, gap) in [(-dx, from.0 - x[0]), (dx, x[1] - from.0), (-dy, from.1 - y[0]), (dy, y[1] - from.1)] {
            if step == 0.0 && gap < 0.0 {
                span = [1.0, 0.0];
            } else if step < 0.0 {
                span[0] = span[0].max(gap / step);
            } else if step > 0.0 {
                span[1] = span[1].min(gap / step);
            }
        }
        if span[0] > span[1] {
            continue;
        }
        let at = |t: f64| if t == 1.0 { to } else { (from.0 + t * dx, from.1 + t * dy) };
        let (begin, end) = (at(span[0]), at(span[1]));
        match runs.last_mut() {
            Some(run) if run.last() == Some(&begin) => run.push(end),
            _ => runs.push(vec![begin, end]),
        }
    }
    runs
}

fn references(sheet: &Sheet, plane: &mut Plane, lines: &[Reference], y: &Ruler) -> Drawn<()> {
    let (from, to) = (plane.x_range().start, plane.x_range().end);
    for line in lines {
        let at = y.position(line.y);
        if !(y.ends[0]..=y.ends[1]).contains(&at) {
            continue;
        }
        plane.draw_series([DashedPathElement::new([(from, at), (to, at)], fine(2.0), fine(3.0), stroke(INK, 1.0))])?;
        let (px, py) = plane.backend_coord(&(from, at));
        let place = [f64::from(px) / FINE + 6.0, f64::from(py) / FINE - 3.0];
        // The name must be legible over bars too.
        let wide = width(sheet, &line.name, &font(10.0, INK))?;
        let corner = |dx: f64, dy: f64| (fine(place[0] + dx), fine(place[1] + dy));
        sheet.draw(&Rectangle::new([corner(-3.0, -12.0), corner(wide + 3.0, 1.0)], WHITE.mix(0.85).filled()))?;
        text(sheet, &line.name, &font(10.0, INK), place, (HPos::Left, VPos::Bottom))?;
    }
    Ok(())
}

/// Draws names under the groups of bars.
fn group_names(sheet: &Sheet, plane: &Plane, groups: &[String], floor: f64) -> Drawn<()> {
    for (group, name) in groups.iter().enumerate() {
        let (px, py) = plane.backend_coord(&(group as f64 + 0.5, floor));
        for (row, line) in name.lines().enumerate() {
            let place = [f64::from(px) / FINE, f64::from(py) / FINE + 6.0 + row as f64 * 13.0];
            text(sheet, line, &font(10.0, INK), place, (HPos::Center, VPos::Top))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_of_many_curves_have_one_colour() {
        let mut seen: Vec<RGBColor> = (0..40).map(colour).collect();
        assert_eq!(seen[0], COLOURS[0]);
        seen.sort_by_key(|RGBColor(r, g, b)| [*r, *g, *b]);
        seen.dedup();
        assert_eq!(seen.len(), 40);
    }
}
